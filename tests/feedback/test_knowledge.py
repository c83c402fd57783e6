"""What the house says: everything that stands, nothing that is held, retired or a probe's."""

from sqlmodel import Session

from feedback import knowledge, policies, probes, tickets
from feedback.corrections import withdraw
from feedback.tables import Assistant
from tests.feedback.said import NIGHT, SHOES, corrected


def said(session: Session, assistant: Assistant) -> set[str]:
    return {each.text for each in knowledge.texts(session, assistant)}


def test_prompt_policies_references_and_corrections_are_what_the_house_says(
    assistant: Assistant, session: Session
) -> None:
    policies.create(session, assistant, "fees", "Shipping costs 3.80 euros.", "olga")
    context = [{"role": "user", "content": NIGHT}]
    tickets.create(session, assistant, "t1", context, "Air it for 3 days.")
    corrected(session, assistant, SHOES, "In size 39, yes.", "wren")
    probes.add(session, assistant)
    found = said(session, assistant)
    assert {"Shipping costs 3.80 euros.", "Air it for 3 days.", "In size 39, yes."} <= found
    assert len(found) == 4, "and the prompt, but no probe"


def test_what_was_taken_back_or_rests_on_a_retired_policy_is_not(
    assistant: Assistant, session: Session
) -> None:
    rule = policies.create(session, assistant, "fees", "Shipping costs 3.80 euros.", "olga")
    context = [{"role": "user", "content": NIGHT}]
    tickets.create(session, assistant, "t1", context, "It costs 3.80 euros.", policy="fees")
    word = corrected(session, assistant, SHOES, "In size 39, yes.", "wren")
    policies.retire(session, rule, "olga")
    withdraw(session, word.id, word.author)
    session.flush()
    assert len(said(session, assistant)) == 1


def test_to_whom_it_was_said_is_told(assistant: Assistant, session: Session) -> None:
    corrected(session, assistant, SHOES, "In size 39, yes.", "wren")
    [word] = [each for each in knowledge.texts(session, assistant) if each.to is not None]
    assert word.text == "In size 39, yes."
