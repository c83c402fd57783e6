"""What the house says: everything that stands, nothing that is held, retired or a probe's."""

from sqlmodel import Session

from feedback import knowledge, policies, probes, tickets
from feedback.corrections import withdraw
from feedback.tables import Assistant, Conversation
from tests.feedback.said import NIGHT, SHOES, answered, corrected


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


def test_what_a_talk_without_a_name_was_told_is_that_talks(
    assistant: Assistant, session: Session
) -> None:
    """An incident's ticket may quote an address; whoever is told it besides is told somebody's."""
    _, answer = answered(session, assistant, NIGHT, "I do not know.", customer=None)
    context = [{"role": "user", "content": NIGHT}]
    told = "I wrote to ada@example.com."
    talk = answer.conversation_id
    tickets.create(session, assistant, "t1", context, told, conversation_id=talk)
    [word] = [each for each in knowledge.texts(session, assistant) if each.text == told]
    assert word.to == talk


def test_a_ticket_made_from_a_talk_is_its_customers(assistant: Assistant, session: Session) -> None:
    """So that what they say elsewhere does not teach, and their tickets count once."""
    _, answer = answered(session, assistant, NIGHT, "I do not know.", customer="wren")
    talk = session.get_one(Conversation, answer.conversation_id)
    context = [{"role": "user", "content": NIGHT}]
    made = tickets.create(session, assistant, "t1", context, "Air it.", conversation_id=talk.id)
    assert made.customer_id == talk.customer_id is not None
