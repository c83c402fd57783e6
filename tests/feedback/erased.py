"""A shop in which somebody is everywhere: said, corrected, taught, examined, quoted, exported, logged."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, SQLModel, col, select

from feedback import (
    adapters,
    assistants,
    corrections,
    cycles,
    datasets,
    decisions,
    exams,
    freezing,
    handovers,
    proposals,
    rechecks,
    tickets,
)
from feedback.adapter_folder import PROBE
from feedback.desk_tables import HandoverReason, Review, ReviewSource
from feedback.exports import Format, export
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    CycleState,
    Dataset,
    DatasetItem,
    FeedbackKind,
    FlagReason,
    Message,
    Role,
    StageState,
)
from feedback.trust_tables import Hold, Redaction
from feedback.whereabouts import text_columns
from tests.feedback.said import answered, built_adapter, corrected

WREN = "wren.example-4711"
TOKEN = "quillfeather"
"""Stands in everything that is about Wren, and in nothing else."""
OTHERS = ("otis", "ines", "jonas")


def ask_of_wren(number: int) -> str:
    """What Wren asks, each time something else."""
    return f"My {TOKEN}{number} lamp flickers “at dawn” ☂, what shall I do about number {number}?"


@dataclass
class Shop:
    """What was made, to be looked at afterwards."""

    assistant: Assistant
    adapter: Adapter
    sft: Dataset
    dpo: Dataset
    exports: list[Path]


def fill(session: Session, owner: Assistant, place: Path) -> Shop:
    """Wren and three others talk, are corrected, taught to an adapter, and examined with."""
    for number in range(3):
        word = corrected(
            session, owner, ask_of_wren(number), f"Shake the {TOKEN} lamp {number} times.", WREN,
            answer=f"The bot guesses about {TOKEN} {number}.",
        )  # fmt: skip
        answer = session.get_one(Message, word.message_id)
        talk = session.get_one(Conversation, answer.conversation_id)
        corrections.give(
            session, answer.id, FeedbackKind.FLAG, WREN, Role.CUSTOMER, reason=FlagReason.TONE,
            note=f"I said {TOKEN}, and nobody listened to me.",
        )  # fmt: skip
        session.add(Review(assistant_id=owner.id, message_id=answer.id, source=ReviewSource.RANDOM))
        rechecks.request(session, word, "mara")
        handovers.request(session, talk, HandoverReason.CUSTOMER_ASKED, f"said “{TOKEN}”")
        hashed = hashlib.sha256(ask_of_wren(number).encode()).hexdigest()
        session.add(Redaction(text_sha256=hashed, rules="r1", text=f"My {TOKEN} [THING]", found={}))
    for name in OTHERS:
        corrected(session, owner, f"{name} wants to know about hats?", f"Hats for {name}.", name)
    # The same words from two people: one row of training data.
    for name in (WREN, "otis"):
        corrected(session, owner, "Is the shop open on Sundays too?", "Yes, from ten.", name)
    sft, dpo, *_ = freezing.freeze(session, owner)
    made = _exports(session, sft, dpo)
    adapter = _adapter(session, owner, place, sft, dpo)
    _exam(session, owner, adapter)
    session.add(Hold(assistant_id=owner.id, author=WREN, reason=f"{WREN} is one-sided."))
    return Shop(owner, adapter, sft, dpo, made)


def _exports(session: Session, *frozen: Dataset) -> list[Path]:
    folder, made = feedback_settings().datasets_dir, []
    for dataset in frozen:
        made += [
            export(session, dataset, folder / f"{dataset.name}.jsonl"),
            export(session, dataset, folder / f"{dataset.name}.parquet", Format.PARQUET),
            export(session, dataset, folder / dataset.name, Format.FOLDER),
        ]
    return made


def _adapter(session: Session, owner: Assistant, place: Path, *learned_: Dataset) -> Adapter:
    built = built_adapter(place / "built")
    prompts = [item.prompt for item in datasets.items(session, learned_[0]) if not item.rejected]
    cases = [
        {"messages": each, "answer": "Yes.", "tokens": [1], "adapter_logprobs": [0.0],
         "base_logprobs": [-1.0]}
        for each in prompts
    ]  # fmt: skip
    (built / PROBE).write_text(json.dumps(cases, ensure_ascii=False))
    run = feedback_settings().runs_dir / "a-run" / "sft"
    run.mkdir(parents=True)
    (run / "log.txt").write_text(f"step 1\nValueError: {ask_of_wren(1)}\nstep 2\n")
    return adapters.publish(session, owner, built, list(learned_), {}, {})


def _exam(session: Session, owner: Assistant, adapter: Adapter) -> None:
    """A ticket made from Wren's question, answered, scored, and quoted by the gate's decision."""
    _, answer = answered(session, owner, f"How {TOKEN} is the weather at your shop?", "Wet.", WREN)
    proposals.propose(session, answer, f"The answer about {TOKEN} went wrong with the customer.")
    [waiting] = proposals.waiting(session, owner)
    mine = proposals.accept(session, owner, waiting.proposal, f"Very {TOKEN}, as always.", "mara")
    mine.must_say = [f"as {TOKEN} as the sea is wide and deep"]
    tickets.create(
        session, owner, "hats", [{"role": "user", "content": "Hats?"}], "Yes, hats.", ["hats"]
    )
    cycle = cycles.request(session, owner, "mara")
    cycles.claim(session, "loop", 60, cycle.id)
    ours, theirs = exams.open_runs(session, owner, [adapter, None], cycle.id)
    for run in (ours, theirs):
        for ticket in exams.tickets_of(session, run):
            said, reason = "Hats indeed.", "All is said."
            if ticket.id == mine.id:
                said, reason = f"It is {TOKEN}.", f"It does not say '{mine.must_say[0]}'."
            scored = [{"metric": "chrf", "value": 50.0, "reason": reason}]
            exams.keep(session, run, ticket, said, 3, 9, None, scored)
        exams.finish(session, run)
    stage = cycles.begin_stage(session, cycle, "exam")
    told = f"On ticket '{mine.external_id}' the candidate says '{mine.must_say[0]}'."
    result = {"promote": False, "reasons": [told]}
    cycles.report(session, stage.id, state=StageState.DONE, result=result, log_tail=told)
    decisions.record(
        session, owner, ours, theirs, assistants.gate_of(owner), promote=False, reasons=[told],
        metric="chrf", tickets=2, topics=[],
    )  # fmt: skip
    cycles.finish(session, cycle, CycleState.REFUSED, told)


def texts_with(session: Session, what: str) -> list[str]:
    """Every column in which something stands, as table.column; the brute way."""
    found = []
    for table in SQLModel.metadata.sorted_tables:
        for column in text_columns(table):
            for value in session.execute(select(column)).scalars():
                if what in json.dumps(value, ensure_ascii=False, default=str):
                    found.append(f"{table.name}.{column.name}")
    return sorted(set(found))


def files_with(folder: Path, what: bytes) -> list[str]:
    """Every file below a folder in which these bytes stand; the brute way."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and what in path.read_bytes()
    ]


def rows_of(session: Session, dataset: Dataset) -> list[DatasetItem]:
    """A dataset's rows as they lie in the database now."""
    query = select(DatasetItem).where(DatasetItem.dataset_id == dataset.id)
    return list(session.exec(query.order_by(col(DatasetItem.position))))


def data_files(engine: Engine, folder: Path) -> list[Path]:
    """Where the database keeps its rows: SQLite's files, or PostgreSQL's without its write-ahead log."""
    if engine.dialect.name == "sqlite":
        return sorted(folder.glob("understudy.db*"))
    with engine.connect() as connection:
        place = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar()))
    found: list[Any] = [path for path in place.rglob("*") if path.is_file()]
    return [path for path in found if "pg_wal" not in path.parts]
