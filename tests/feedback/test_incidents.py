"""Tickets grow from incidents, rollbacks and corrections that were lost again; none of them trains."""

from pathlib import Path

import pytest
from sqlmodel import Session

from feedback import (
    adapters,
    corrections,
    erasure,
    freezing,
    incidents,
    promotions,
    proposals,
    tickets,
    whose_words,
)
from feedback.audit import Actor
from feedback.errors import Conflict, Invalid
from feedback.swap_tables import ProposalOrigin
from feedback.tables import (
    Adapter,
    Assistant,
    Expects,
    FeedbackKind,
    FlagReason,
    Message,
    Role,
    TicketOrigin,
)
from tests.feedback.said import NIGHT, SHOES, SPOON, answered, built_adapter, corrected


def adapter_live(session: Session, assistant: Assistant, place: Path) -> Adapter:
    built = built_adapter(place, str(place).encode())
    adapter = adapters.publish(session, assistant, built, [], {}, {})
    adapters.promote(session, assistant, adapter, "olga", "better")
    return adapter


def said_by(session: Session, assistant: Assistant, adapter: Adapter, question: str) -> Message:
    _, answer = answered(session, assistant, question, "Keep it for ever.")
    answer.adapter_id = adapter.id
    session.add(answer)
    session.flush()
    return answer


def report(session: Session, answer: Message) -> str:
    made = incidents.report(session, answer, FlagReason.UNSAFE, "mara", Role.AGENT, "Ouch.")
    return made.id


def test_an_incident_is_flagged_proposed_and_becomes_a_ticket_with_all_that_was_wanted(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, SHOES, "Keep them for ever.")
    proposal = proposals.get(session, assistant, report(session, answer))
    assert proposal.origin == ProposalOrigin.INCIDENT and "unsafe" in proposal.why
    [flag] = corrections.about_message(session, answer.id)
    assert (flag.kind, flag.reason, flag.note) == (FeedbackKind.FLAG, FlagReason.UNSAFE, "Ouch.")
    wanted = proposals.Wanted(
        "A person will help.", ["person"], ["for ever"], "Returns", Expects.HANDOVER
    )
    ticket = proposals.accept(session, assistant, proposal, wanted, "olga")
    assert (ticket.origin, ticket.expects) == (TicketOrigin.INCIDENT, Expects.HANDOVER)
    assert (ticket.must_say, ticket.must_not_say, ticket.topic) == (
        ["person"], ["for ever"], "Returns"
    )  # fmt: skip
    assert ticket.context == [{"role": "user", "content": SHOES}]
    with pytest.raises(Conflict, match="behind a ticket already"):
        report(session, answer)


def test_an_incident_outdoes_a_proposal_that_was_dismissed_and_comes_first(
    assistant: Assistant, session: Session
) -> None:
    _, first = answered(session, assistant, SPOON)
    _, second = answered(session, assistant, SHOES)
    for answer in (first, second):
        assert proposals.propose(session, answer, "In a trial: slow.")
    proposals.dismiss(session, proposals.waiting(session, assistant)[1].proposal, "olga")
    report(session, second)
    waiting = [one.answer.id for one in proposals.waiting(session, assistant)]
    assert waiting == [second.id, first.id]


def test_what_is_no_answer_is_no_incident(assistant: Assistant, session: Session) -> None:
    asked, _ = answered(session, assistant, SHOES)
    with pytest.raises(Invalid, match="about an answer"):
        report(session, asked)


def test_after_a_rollback_what_was_flagged_or_corrected_of_the_one_that_went_is_proposed(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    first = adapter_live(session, assistant, tmp_path / "a")
    kept = said_by(session, assistant, first, NIGHT)
    corrections.give(session, kept.id, FeedbackKind.FLAG, "m", Role.AGENT, reason=FlagReason.TONE)
    gone = adapter_live(session, assistant, tmp_path / "b")
    flagged = said_by(session, assistant, gone, SHOES)
    mended = said_by(session, assistant, gone, SPOON)
    said_by(session, assistant, gone, "Is it fine?")
    corrections.give(
        session, flagged.id, FeedbackKind.FLAG, "m", Role.AGENT, reason=FlagReason.WRONG_FACT
    )
    corrections.give(session, mended.id, FeedbackKind.CORRECTION, "m", Role.AGENT, text="None.")
    asked = promotions.request_rollback(session, assistant, "olga", "It lies.")
    assert promotions.carry_out(session, asked.id) is not None
    found = {one.answer.id: one for one in proposals.waiting(session, assistant)}
    assert set(found) == {flagged.id, mended.id}
    assert f"{gone.name} was rolled back: flagged as wrong fact." == found[flagged.id].proposal.why
    assert found[mended.id].correction is not None
    ticket = proposals.accept(session, assistant, found[mended.id].proposal, "None.", "olga")
    assert ticket.origin == TicketOrigin.ROLLBACK and ticket.feedback_id is not None
    assert proposals.of_adapter(session, assistant, gone, "again") == 0


def test_going_live_forwards_proposes_nothing(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    first = adapter_live(session, assistant, tmp_path / "a")
    bad = said_by(session, assistant, first, SHOES)
    corrections.give(session, bad.id, FeedbackKind.FLAG, "m", Role.AGENT, reason=FlagReason.TONE)
    built = built_adapter(tmp_path / "b", b"b")
    second = adapters.publish(session, assistant, built, [], {}, {})
    asked = promotions.request(session, assistant, second, "olga", "better")
    promotions.carry_out(session, asked.id)
    assert proposals.waiting(session, assistant) == []


def test_a_correction_that_becomes_a_ticket_teaches_no_longer_nor_does_its_customer(
    assistant: Assistant, session: Session
) -> None:
    lost = corrected(session, assistant, SHOES, "Only in 41.", "wren")
    corrected(session, assistant, NIGHT, "Air it for a day.", "wren")
    kept = corrected(session, assistant, SPOON, "The blue one.", "otis")
    ticket = incidents.from_correction(session, assistant, lost)
    assert (ticket.origin, ticket.feedback_id) == (TicketOrigin.CORRECTION, lost.id)
    with pytest.raises(Conflict, match="already"):
        incidents.from_correction(session, assistant, lost)
    sft, *_ = freezing.freeze(session, assistant)
    assert sft.train_rows + sft.validation_rows == 1
    tickets.retire(session, ticket)
    again = incidents.from_correction(session, assistant, lost)
    assert again.external_id != ticket.external_id
    with pytest.raises(Invalid, match="Only a correction in force"):
        _, answer = answered(session, assistant, "Hm?")
        word = corrections.give(session, answer.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
        incidents.from_correction(session, assistant, word)
    assert incidents.ticket_of(session, kept) is None


def test_an_erasure_takes_incidents_and_their_tickets(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, "My name is Quillfeather, may I?", "Yes!", "wren")
    proposal = proposals.get(session, assistant, report(session, answer))
    ticket = proposals.accept(
        session, assistant, proposal, proposals.Wanted("No.", None, ["Quillfeather may"]), "olga"
    )
    subject = whose_words.of_customer(session, assistant, "wren")
    erasure.erase(session, assistant, subject, Actor("olga", "operator"), "They asked.")
    session.refresh(ticket)
    assert (ticket.context, ticket.reference, ticket.must_not_say) == ([], "", [])
    assert ticket.retired_at is not None
    assert proposals.waiting(session, assistant) == []
