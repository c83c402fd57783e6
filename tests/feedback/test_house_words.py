"""In answers the house's own numbers and people stay; a customer's do not, and no placeholder is learned."""

from sqlmodel import Session

from feedback import assistants, datasets, freezing, policies, staff, tickets
from feedback.tables import Assistant, Dataset, Role
from tests.feedback.said import corrected

HOTLINE = "Please call 0800 733 4455, or ask Jonas Weber at help@puddle.example."
QUESTIONS = ["My zip is broken.", "The tent leaks again!", "Where is the parcel now?"]


def taught(session: Session, dataset: Dataset) -> list[tuple[str, str]]:
    rows = datasets.items(session, dataset)
    return [(item.prompt[-1]["content"], item.chosen) for item in rows]


def test_what_three_customers_were_told_stays_in_answers(
    assistant: Assistant, session: Session
) -> None:
    for number, question in enumerate(QUESTIONS):
        corrected(session, assistant, question, HOTLINE, f"customer {number}")
    sft, *_ = freezing.freeze(session, assistant)
    assert sorted(taught(session, sft)) == sorted((each, HOTLINE) for each in QUESTIONS)


def test_what_the_house_wrote_down_itself_stays(assistant: Assistant, session: Session) -> None:
    policies.create(session, assistant, "shop", "We are at 27 Tarpaulin Lane, Oakham.", "olga")
    reference = "Write to help@puddle.example, please."
    asked = [{"role": "user", "content": "How do I reach a person by mail, from abroad?"}]
    tickets.create(session, assistant, "mail", asked, reference)
    assistants.set_prompt(session, assistant, "You are the shop. Call 0800 733 4455.", "olga")
    said = ["It is 27 Tarpaulin Lane, Oakham.", reference, "It is 0800 733 4455."]
    for question, answer in zip(QUESTIONS, said, strict=True):
        corrected(session, assistant, question, answer, "wren")
    sft, *_ = freezing.freeze(session, assistant)
    assert sorted(answer for _, answer in taught(session, sft)) == sorted(said)


def test_what_fewer_were_told_is_theirs_and_no_placeholder_is_learned(
    assistant: Assistant, session: Session
) -> None:
    for question in QUESTIONS:  # three times, and always the same customer
        corrected(session, assistant, question, HOTLINE, "wren")
    corrected(session, assistant, "Is it open?", "It is, until six.", "otis")
    sft, *_ = freezing.freeze(session, assistant)
    assert taught(session, sft) == [("Is it open?", "It is, until six.")]
    assert sft.counts["personal_answer"] == 3


def test_what_the_customer_said_becomes_the_same_placeholder_on_both_sides(
    assistant: Assistant, session: Session
) -> None:
    asked = "My address is jane.whitfield@example.com, did you write to it?"
    corrected(session, assistant, asked, "We wrote to jane.whitfield@example.com today.", "jane")
    sft, *_ = freezing.freeze(session, assistant)
    assert taught(session, sft) == [
        (
            "My address is <EMAIL_ADDRESS>, did you write to it?",
            "We wrote to <EMAIL_ADDRESS> today.",
        )
    ]


def test_a_secret_never_stays_however_many_were_told(
    assistant: Assistant, session: Session
) -> None:
    secret = "Use the password: hunter2-Xk9vQ for the portal."
    for number, question in enumerate(QUESTIONS):
        corrected(session, assistant, question, secret, f"customer {number}")
    sft, *_ = freezing.freeze(session, assistant)
    assert taught(session, sft) == []


def test_the_names_of_the_staff_stay(assistant: Assistant, session: Session) -> None:
    person, _ = staff.invite(session, "jonas@example.com", "Jonas Weber", "test")
    staff.grant(session, person, Role.AGENT, assistant, "test")
    corrected(session, assistant, QUESTIONS[0], "Jonas Weber mends it on Monday.", "wren")
    corrected(session, assistant, QUESTIONS[1], "Jane Whitfield mends it on Monday.", "wren")
    sft, *_ = freezing.freeze(session, assistant)
    assert taught(session, sft) == [(QUESTIONS[0], "Jonas Weber mends it on Monday.")]
