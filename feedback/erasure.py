"""A person is taken out of the database: everything they said, and everything that quotes it.

One transaction. Rows about them go; rows on which numbers or other people's lineage rest stay, emptied
(feedback/whereabouts.py says which). A row of training data that also rests on somebody else's identical
words keeps its text, and only loses the link. Files and the search come after, in erasing.py.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, delete, text, update
from sqlmodel import Session, SQLModel, col, or_, select

from feedback import (
    adapters,
    audit,
    cycles,
    excepted,
    lineage,
    promotions,
    redactions,
    traces,
    trials,
)
from feedback.audit import Actor
from feedback.batches import in_batches
from feedback.desk_tables import Handover, Recheck, Review, ReviewVerdict
from feedback.erased_files import hash_of, row_hash
from feedback.erasures import PENDING, added, without_pending
from feedback.errors import Invalid
from feedback.exam_tables import Judgement, ReplayTurn, Vote
from feedback.swap_tables import TicketProposal
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Customer,
    Cycle,
    Dataset,
    DatasetItem,
    Decision,
    ExamAnswer,
    Feedback,
    ItemSource,
    Message,
    Score,
    Stage,
    StageState,
    Ticket,
    now,
)
from feedback.traces import Words
from feedback.trust_tables import Erasure, Hold, NearCopy
from feedback.whereabouts import Fate, with_fate
from feedback.whose_words import Subject

MARK = "(erased)"
"""Stands where somebody was quoted."""
NOTHING_SAID = [{"role": "user", "content": ""}]
"""The prompt of an erased row: still of the shape that readers expect."""
BY = "erasure"
"""In whose name cycles are stopped and asked for."""
AT_ONCE = 500


def preview(session: Session, assistant: Assistant, subject: Subject, by: Actor) -> dict[str, Any]:
    """The certificate as it would be: everything is done, and undone again."""
    trial = session.begin_nested()
    try:
        erased = erase(session, assistant, subject, by, "preview")
        return without_pending(erased.certificate)
    finally:
        trial.rollback()


def erase(
    session: Session,
    assistant: Assistant,
    subject: Subject,
    by: Actor,
    reason: str,
    into: Erasure | None = None,
) -> Erasure:
    """Take a person's words out of every table; what is left to do is for `erasing.finish`.

    `into`: an erasure that goes on, batch by batch.
    """
    _check_reason(subject, reason)
    adapters.lock(session, assistant)
    session.exec(select(Conversation.id).where(subject.whose).with_for_update()).all()
    if session.get_bind().dialect.name == "sqlite":  # what is deleted is overwritten at once
        session.connection().exec_driver_sql("PRAGMA secure_delete = ON")
    row = into or Erasure(
        assistant_id=assistant.id,
        customer_sha256=subject.sha256,
        requested_by=by.name[:200],
        reason=reason.strip(),
    )
    taken = _Taken(session, assistant, subject)
    taken.take()
    row.certificate = added(row.certificate, taken.told(row.certificate))
    row.finished_at = None  # somebody may have finished the batches before
    session.add(row)
    session.flush()
    if into is None:
        subject_name = f"erasure {row.id}"
        audit.record(
            session, by, "erasure.erase", subject_name, assistant.id,
            what=subject.what, sha256=subject.sha256, reason=reason.strip(),
        )  # fmt: skip
    return row


def _check_reason(subject: Subject, reason: str) -> None:
    if not reason.strip():
        raise Invalid("Say in a few words why; it is kept in the certificate.")
    name = subject.customer.external_id if subject.customer else ""
    if name and traces.words_in(reason, Words([name], []), in_json=False):
        raise Invalid(
            "The reason names the person. It is kept for good: say it without their name."
        )


class _Taken:
    """One person being taken out, and what came of it."""

    def __init__(self, session: Session, assistant: Assistant, subject: Subject) -> None:
        self._session = session
        self._assistant = assistant
        self._subject = subject
        self._talks = select(Conversation.id).where(subject.whose)
        self._said = select(Message.id).where(col(Message.conversation_id).in_(self._talks))
        self._words = select(Feedback.id).where(col(Feedback.message_id).in_(self._said))
        self.removed: Counter[str] = Counter()
        self.emptied: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.scrubbed: Counter[str] = Counter()
        self.rows: set[str] = set()
        self.prompts: set[str] = set()
        self.texts: set[str] = set()
        self.names: set[str] = set()
        self.datasets: list[Dataset] = []
        self.adapters: list[Adapter] = []
        self.stopped: list[str] = []
        self.customers: list[Customer] = []

    def take(self) -> None:
        """Everything, in an order in which nothing names what is gone."""
        self._look()
        self._dataset_items()
        tickets = self._tickets()
        self._empty_tickets(tickets)
        self._delete_words()
        self._delete_talks()
        self._delete_customers()
        self._delete_redactions()
        self._scrub()
        self._stop_cycles()

    def _look(self) -> None:
        """What is to be known before anything is gone."""
        session = self._session
        self.adapters = lineage.learned_from_talks(session, self._subject.whose)
        for said in session.exec(
            select(Message.text).where(col(Message.conversation_id).in_(self._talks))
        ):
            self.texts.add(said)
        for word, note in session.exec(
            select(Feedback.text, Feedback.note).where(col(Feedback.id).in_(self._words))
        ):
            self.texts |= {word or "", note or ""}
        if self._subject.customer is not None:
            self.customers = [self._subject.customer]
        elif self._subject.what == "retention":
            self.customers = self._without_other_talks()
        self.names = {customer.external_id for customer in self.customers}

    def _without_other_talks(self) -> list[Customer]:
        """Customers of whom nothing is left once these conversations are gone."""
        theirs = select(Conversation.customer_id).where(self._subject.whose)
        left = select(Conversation.customer_id).where(
            col(Conversation.customer_id).in_(theirs), col(Conversation.id).not_in(self._talks)
        )
        query = select(Customer).where(
            col(Customer.id).in_(theirs),
            col(Customer.id).not_in(left.where(col(Conversation.customer_id).is_not(None))),
        )
        return list(self._session.exec(query))

    # Training data

    def _dataset_items(self) -> None:
        """Rows that rest on their words alone are emptied; where others said the same, the link goes."""
        session = self._session
        touched = select(ItemSource.item_id).where(col(ItemSource.feedback_id).in_(self._words))
        with_others = select(ItemSource.item_id).where(
            col(ItemSource.item_id).in_(touched), col(ItemSource.feedback_id).not_in(self._words)
        )
        shared = set(session.exec(with_others))
        items = [each for each in session.exec(touched.distinct()) if each not in shared]
        self.kept["dataset_item"] += len(shared)
        datasets: set[str] = set()
        for some in in_batches(items, AT_ONCE):
            rows = session.exec(
                select(
                    DatasetItem.dataset_id,
                    DatasetItem.prompt,
                    DatasetItem.chosen,
                    DatasetItem.rejected,
                ).where(col(DatasetItem.id).in_(some))
            ).all()
            for dataset_id, prompt, chosen, rejected in rows:
                datasets.add(dataset_id)
                self.rows.add(row_hash(prompt, chosen, rejected))
                self.prompts.add(hash_of(prompt))
            self._empty_items(some)
        self.datasets = list(
            session.exec(
                select(Dataset).where(col(Dataset.id).in_(datasets)).order_by(Dataset.name)
            )
        )
        self._delete("item_source", ItemSource, col(ItemSource.feedback_id).in_(self._words))

    def _empty_items(self, ids: Sequence[str]) -> None:
        rejected = col(DatasetItem.rejected)
        done = self._session.exec(
            update(DatasetItem)
            .where(col(DatasetItem.id).in_(ids))
            .values(
                prompt=NOTHING_SAID,
                chosen="",
                rejected=case((rejected.is_(None), None), else_=""),
                erased_at=now(),
            )
        )
        self.emptied["dataset_item"] += done.rowcount

    # Exams

    def _tickets(self) -> list[Ticket]:
        """Tickets made from what they said, or named as theirs."""
        theirs = [
            col(Ticket.conversation_id).in_(self._talks),
            col(Ticket.feedback_id).in_(self._words),
            col(Ticket.customer_id).in_([each.id for each in self.customers]),
        ]
        return list(self._session.exec(select(Ticket).where(or_(*theirs))))

    def _empty_tickets(self, tickets: list[Ticket]) -> None:
        """A ticket leaves the exam without its text; decisions rest on the scores, which stay as numbers."""
        self.texts |= self._quoted(tickets)
        for ticket in tickets:
            self.texts |= {turn.get("content", "") for turn in ticket.context}
            self.texts |= {ticket.reference, *ticket.must_say, *ticket.must_not_say}
            ticket.context, ticket.reference = [], ""
            ticket.must_say, ticket.must_not_say = [], []
            ticket.conversation_id = ticket.customer_id = ticket.feedback_id = None
            ticket.retired_at = ticket.retired_at or now()
            if any(name in ticket.external_id for name in self.names):
                ticket.external_id = f"erased-{ticket.id}"
            self._session.add(ticket)
            self.emptied["ticket"] += 1
        self._session.flush()
        for some in in_batches((ticket.id for ticket in tickets), AT_ONCE):
            self._empty_answers(some)

    def _quoted(self, tickets: Sequence[Ticket]) -> set[str]:
        """Sentences of decisions about one of these tickets: they may quote a rule of it, however short."""
        found: set[str] = set()
        for some in in_batches(tickets, AT_ONCE):
            ids = [ticket.id for ticket in some]
            runs = select(ExamAnswer.eval_run_id).where(col(ExamAnswer.ticket_id).in_(ids))
            begun = tuple(f"On ticket {ticket.external_id!r} " for ticket in some)
            for reasons, detail in self._session.exec(
                select(Decision.reasons, Decision.detail).where(
                    col(Decision.candidate_run_id).in_(runs)
                )
            ):
                found |= {
                    sentence
                    for sentence in (*reasons, *detail.get("vetoes", []))
                    if sentence.startswith(begun)
                }
        return found

    def _empty_answers(self, tickets: Sequence[str]) -> None:
        session = self._session
        answers = select(ExamAnswer.id).where(col(ExamAnswer.ticket_id).in_(tickets))
        reasons = update(Score).where(col(Score.exam_answer_id).in_(answers)).values(reason=MARK)
        self.emptied["score"] += session.exec(reasons).rowcount
        failed = case((col(ExamAnswer.error).is_(None), None), else_=MARK)
        emptied = (
            update(ExamAnswer)
            .where(col(ExamAnswer.ticket_id).in_(tickets))
            .values(text="", error=failed, cache_key=None)  # no later exam takes it
        )
        self.emptied["exam_answer"] += session.exec(emptied).rowcount
        judged = or_(
            col(Judgement.candidate_answer_id).in_(answers),
            col(Judgement.live_answer_id).in_(answers),
        )
        self._delete("judgement", Judgement, judged)

    # What they said, and what was said of it

    def _delete(self, name: str, table: type[SQLModel], where: ColumnElement[bool]) -> None:
        self.removed[name] += self._session.exec(delete(table).where(where)).rowcount

    def _delete_words(self) -> None:
        """Reviews, rechecks, proposals, near-copies, replayed answers, then the feedback itself."""
        words, said = self._words, self._said
        replayed = select(ReplayTurn.id).where(col(ReplayTurn.message_id).in_(said))
        self._delete("vote", Vote, col(Vote.replay_turn_id).in_(replayed))
        self._delete("replay_turn", ReplayTurn, col(ReplayTurn.message_id).in_(said))
        reviews = select(Review.id).where(col(Review.message_id).in_(said))
        verdicts = or_(
            col(ReviewVerdict.review_id).in_(reviews), col(ReviewVerdict.feedback_id).in_(words)
        )
        self._delete("review_verdict", ReviewVerdict, verdicts)
        self._delete("review", Review, col(Review.message_id).in_(said))
        self._delete("recheck", Recheck, col(Recheck.feedback_id).in_(words))
        self._delete("near_copy", NearCopy, col(NearCopy.feedback_id).in_(words))
        self._delete("ticket_proposal", TicketProposal, col(TicketProposal.message_id).in_(said))
        self._delete("feedback", Feedback, col(Feedback.message_id).in_(said))

    def _delete_talks(self) -> None:
        """Hand-overs, messages with what the search holds of them, then the conversations."""
        talks, session = self._talks, self._session
        if session.get_bind().dialect.name == "sqlite":
            _forget_in_search(session, list(session.exec(talks)))
        self._delete("handover", Handover, col(Handover.conversation_id).in_(talks))
        self._delete("message", Message, col(Message.conversation_id).in_(talks))
        self._delete("conversation", Conversation, self._subject.whose)

    def _delete_customers(self) -> None:
        for customer in self.customers:
            self._session.delete(customer)
            self.removed["customer"] += 1
        self._session.flush()

    def _delete_redactions(self) -> None:
        """What the redactor remembers of their texts; of somebody else's same text it looks again."""
        self.removed["redaction"] += redactions.forget(self._session, filter(None, self.texts))

    # What others wrote down

    def words(self) -> Words:
        """What to look for: their names, and the texts that nobody else said."""
        shared_names = traces.others_of_that_name(self._session, self.names)
        return Words.of(self.names - shared_names, self.texts)

    def _scrub(self) -> None:
        """Take them out of sentences that a machine or a colleague wrote."""
        session, ours = self._session, self._assistant.id
        words = Words.of(self.names, self.texts)
        held = update(Hold).where(col(Hold.author).in_(words.names), col(Hold.assistant_id) == ours)
        self.scrubbed["hold.author"] += session.exec(held.values(author=MARK)).rowcount
        found = [
            (column, *row)
            for column in with_fate(Fate.SCRUBBED)
            for row in traces.rows_with(session, column, words, ours)
        ]
        quoted = {each for _, _, _, texts in found for each in texts}
        words = words.less(traces.said_by_others(session, sorted(quoted)))
        for column, ident, value, _ in found:
            clean = traces.scrubbed(value, words, MARK)
            if clean != value:
                table = column.table
                change = update(table).where(table.c.id == ident).values({column.name: clean})
                session.execute(change)
                self.scrubbed[f"{table.name}.{column.name}"] += 1
        session.expire_all()

    def _stop_cycles(self) -> None:
        """A cycle that has frozen their words already would teach them: it is asked to stop."""
        names = {dataset.name for dataset in self.datasets}
        for cycle in open_cycles(self._session, self._assistant):
            frozen = frozen_by(self._session, cycle)
            if names & frozen and cycle.stop_requested_by is None:
                cycles.stop(self._session, cycle, BY)
                self.stopped.append(cycle.id)

    def told(self, before: dict[str, Any]) -> dict[str, Any]:
        """What the certificate says of it."""
        session, assistant = self._session, self._assistant
        words, known = self.words(), before.get(PENDING, {})
        texts = {*known.get("texts", []), *words.texts}
        merged = Words.of({*known.get("names", []), *words.names}, texts)
        return {
            "what": self._subject.what,
            "removed": dict(self.removed),
            "emptied": dict(self.emptied),
            "kept_for_others": dict(self.kept),
            "scrubbed": dict(self.scrubbed),
            "datasets": [dataset.name for dataset in self.datasets],
            "adapters": [standing(session, assistant, each) for each in self.adapters],
            "stopped_cycles": self.stopped,
            PENDING: {
                "names": merged.names,
                "texts": merged.texts,
                "rows": sorted({*known.get("rows", []), *self.rows}),
                "prompts": sorted({*known.get("prompts", []), *self.prompts}),
            },
        }


def _forget_in_search(session: Session, talks: list[str]) -> None:
    """SQLite's search keeps a copy of every text."""
    for some in in_batches(talks, AT_ONCE):
        names = {f"id{number}": ident for number, ident in enumerate(some)}
        these = ", ".join(f":{name}" for name in names)
        session.execute(
            text(f"DELETE FROM message_search WHERE conversation_id IN ({these})"),  # noqa: S608
            names,
        )


# What learned from them


def standing(session: Session, assistant: Assistant, adapter: Adapter) -> dict[str, Any]:
    """An adapter that learned from them, and what would still speak with it."""
    live = adapters.live(session, assistant)
    back = adapters.back_to(session, assistant) if live else None
    asked = promotions.waiting(session, assistant)
    trial = trials.running(session, assistant)
    return {
        "name": adapter.name,
        "live": live is not None and live.adapter_id == adapter.id,
        "answers_some_topics": bool(excepted.topics_of(live, adapter)),
        "rollback_target": back is not None and back.adapter_id == adapter.id,
        "asked_to_go_live": asked is not None and asked.adapter_id == adapter.id,
        "on_trial": trial is not None and trial.adapter_id == adapter.id,
        "files": adapter.files_removed_at is None,
    }


def open_cycles(session: Session, assistant: Assistant) -> list[Cycle]:
    """Cycles that are asked for or run."""
    return [each for each in cycles.every(session, assistant) if each.state in cycles.OPEN]


def frozen_by(session: Session, cycle: Cycle) -> set[str]:
    """The datasets a cycle has frozen, by name; none before that stage is done."""
    stage = session.exec(
        select(Stage).where(Stage.cycle_id == cycle.id, Stage.name == "freeze")
    ).first()
    if stage is None or stage.state != StageState.DONE:
        return set()
    return {value for value in stage.result.values() if isinstance(value, str)}
