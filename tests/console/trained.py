"""What a cycle leaves behind, made with the floor's own functions: feedback, data, a candidate, its exam."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from feedback import (
    adapters,
    assistants,
    cycles,
    decisions,
    exams,
    freezing,
    handovers,
    tickets,
)
from feedback.database import writing
from feedback.desk_tables import HandoverReason
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Cycle,
    CycleState,
    Decision,
    StageState,
    now,
)
from tests.feedback.said import answered, corrected
from tests.service.conftest import Shop
from tests.stand_in_engine import build_adapter

TOPICS = ("Returns", "Shipping", "Warranty", "Fees")
TAUGHT = (
    ("My parcel never came. What now?", "We send a new one at once; you pay nothing."),
    (
        "How long may I keep shoes before I send them back?",
        "You have 60 days, also for worn shoes.",
    ),
    ("Is the zip of the Nordkap tent covered?", "Yes. Zips are covered for 10 years."),
    ("Can I pay the invoice in two parts?", "Yes, choose two instalments; there is no fee."),
    ("Do you ship to the Faroe Islands?", "Yes, in 6 to 9 days, for 12 euros."),
    (
        "My voucher is refused at the till.",
        "Send us its number; we issue a new one within an hour.",
    ),
)
LIVE_SAYS = "You may send it back within 14 days. Please see our website for the details."
WORSE = "We are sorry. You can keep it for ever."
LOSSES = [[step, 2.6 * 0.93**step + 0.35 + (step % 3) * 0.04] for step in range(1, 41)]
LOG = "\n".join(f"step {step:>2}/40  loss {loss:.3f}  1180 tokens/s" for step, loss in LOSSES[-12:])


@dataclass(frozen=True)
class Trained:
    """A candidate with everything it came from."""

    adapter: Adapter
    cycle: Cycle
    decision: Decision


def shop_of(session: Session, name: str = "shop") -> Assistant:
    """The assistant whose console is looked at."""
    return assistants.get(session, name)


def teach(shop: Shop) -> None:
    """Corrections by two agents."""
    with writing(shop.database) as session:
        for number, (question, answer) in enumerate(TAUGHT):
            author = "mara@example.com" if number % 3 else "jon@example.com"
            corrected(session, shop_of(session), question, answer, f"c-{number}", LIVE_SAYS, author)


def add_tickets(shop: Shop, count: int = 8) -> None:
    """Held-out tickets ticket-01 …, with rules."""
    with writing(shop.database) as session:
        for number in range(1, count + 1):
            topic = TOPICS[number % len(TOPICS)]
            tickets.create(
                session,
                shop_of(session),
                f"ticket-{number:02}",
                [
                    {
                        "role": "user",
                        "content": f"Order {number}00: how long do I have to return it?",
                    }
                ],
                f"You have {number + 30} days to return it, and the return is free.",
                must_say=[f"{number + 30} days"],
                must_not_say=["for ever"],
                topic=topic,
                customer=f"ticket customer {number}",
            )


def train(shop: Shop, seed: str = "first", passed: bool = True, gain: float = 24.0) -> Trained:
    """A whole cycle: frozen, trained, published, examined against live; it awaits a decision."""
    built = build_adapter(Path(shop.folder) / f"cycle-{seed}", seed)
    with writing(shop.database) as session:
        owner = shop_of(session)
        cycle = cycles.request(session, owner, "olga@example.com")
        cycles.claim(session, "loop", 60, cycle.id)
        learned = freezing.freeze(session, owner)
        _stages(session, cycle)
        adapter = adapters.publish(session, owner, built, list(learned), {}, {}, cycle.id)
        adapters.record_swap(session, adapter, "http://127.0.0.1:8001", True, "Verified.", 40, 0.01)
        decision = _examine(session, owner, adapter, cycle, passed, gain)
        state = CycleState.AWAITING if passed else CycleState.REFUSED
        reason = f"{adapter.name} passed; an operator may promote it." if passed else "Too small."
        cycles.finish(session, cycle, state, reason)
    return Trained(adapter, cycle, decision)


LEFT: dict[str, dict[str, Any]] = {
    "hold_out": {"held": [], "tickets": 5, "sealed": 1},
    "redact": {"texts": 184, "new": 61},
    "freeze": {"sft_rows": 38, "dpo_rows": 31, "kto_rows": 4},
    "sft": {"canary_bits": 1.4, "canary_most_bits": 7.0},
}
"""What stages leave, as the loop writes it."""


def _stages(session: Session, cycle: Cycle) -> None:
    for name in ("hold_out", "redact", "freeze", "sft", "dpo", "publish", "exam"):
        stage = cycles.begin_stage(session, cycle, name)
        more = {"curve": LOSSES, "log_tail": LOG, "loss": 0.41} if name in ("sft", "dpo") else {}
        if name in LEFT:
            more["result"] = LEFT[name]
        cycles.report(session, stage.id, state=StageState.DONE, done=40, total=40, **more)


def _examine(
    session: Session, owner: Assistant, adapter: Adapter, cycle: Cycle, passed: bool, gain: float
) -> Decision:
    live = adapters.live_adapter(session, owner)
    ours, theirs = exams.open_runs(session, owner, [adapter, live], cycle.id)
    for number, ticket in enumerate(exams.tickets_of(session, ours), 1):
        said = WORSE if number == 3 else ticket.reference.replace("free", "free of charge")
        for run, text, chrf in ((ours, said, 88.0 - number), (theirs, LIVE_SAYS, 40.0 + number)):
            worse = text == WORSE
            exams.keep(
                session, run, ticket, text, 20, 900, None,
                [
                    {"metric": "chrf", "value": 12.0 if worse else chrf, "reason": "chrF."},
                    {
                        "metric": "must_say_broken",
                        "value": float(text != said or worse),
                        "reason": f"It does not say '{ticket.must_say[0]}'.",
                    },
                    {
                        "metric": "must_not_say_broken",
                        "value": float(worse),
                        "reason": "It says 'for ever'.",
                    },
                    {"metric": "mean_logprob", "value": -1.2, "reason": "Nats."},
                ],
            )  # fmt: skip
    topics = [
        {"topic": topic, "tickets": 2, "candidate": 60.0 + one, "live": 60.0, "gain": one}
        for topic, one in zip(TOPICS, (gain + 9, gain + 2, gain - 6, -4.2), strict=True)
    ]
    why = (
        f"On average chrF rises by {gain:.3g} (95 % interval {gain - 13:.3g} to {gain + 12:.3g}). "
        "The lower end lies above 0 on 8 held-out tickets, and no rule speaks against it."
    )
    refused = (
        "On ticket 'ticket-03' the candidate says 'for ever', which it must not; live did not."
    )
    return decisions.record(
        session, owner, exams.finish(session, ours), exams.finish(session, theirs),
        assistants.gate_of(owner), promote=passed, reasons=[why if passed else refused],
        metric="chrf", tickets=8, gain=gain, gain_low=gain - 13, gain_high=gain + 12, topics=topics,
    )  # fmt: skip


def month_of_talks(shop: Shop, voices: list[Adapter | None]) -> None:
    """Thirty days of conversations; each voice has its share of the days, each better than the last."""
    with writing(shop.database) as session:
        owner = shop_of(session)
        for day in range(30):
            number_of_voice = day * len(voices) // 30
            voice = voices[number_of_voice]
            for number in range(4):
                asked, _ = answered(session, owner, f"Day {day}, question {number}?")
                talk = session.get_one(Conversation, asked.conversation_id)
                talk.adapter_id = voice.id if voice else None
                talk.created_at = talk.last_message_at = now() - timedelta(days=29 - day)
                talk.satisfaction = (
                    5 if (day * 7 + number * 3) % 10 < 5 + 2 * number_of_voice else 2
                )
                if (day + number) % (4 + 3 * number_of_voice) == 0:
                    row = handovers.request(
                        session, talk, HandoverReason.CUSTOMER_ASKED, "said “a person”"
                    )
                    row.created_at = talk.created_at
                session.add(talk)
