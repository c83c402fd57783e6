"""Is there enough to learn from, and if not, what is missing? In sentences, for whoever reads a cycle.

"Not enough new signal" is an outcome like any other: a cycle that trained on nothing new would only
cost time, and could only make the bot worse.
"""

from sqlmodel import Session, col, func, select

from feedback.adapters import datasets_of, every
from feedback.tables import Assistant, Dataset, DatasetItem, DatasetKind, Split
from feedback.topics import TOPIC

WAITING = {
    "disputed": "{} because two people disagree (a third has to decide in the review queue)",
    "held": "{} by authors who are held (see the console's held authors, `understudy feedback holds`)",
    "policy_retired": "{} that rest on a retired policy",
    "ticket_near_copy": "{} too close to the exam",
    "ticket_customer": "{} from customers of exam tickets",
    "ticket_conversation": "{} from conversations of exam tickets",
    "without_question_or_answer": "{} without a question or an answer",
}
"""What keeps feedback from teaching, as far as somebody may do something about it or should know."""


def missing(
    session: Session, assistant: Assistant, sft: Dataset, least: int, least_new: int
) -> str:
    """Why there is too little to train on; "" when there is enough.

    `least`: rows that teach at all. `least_new`: of these, rows the newest adapter has not learned.
    """
    answers = answer_rows(session, sft)
    if answers < least:
        lacking = least - answers
        return (
            f"Found {_rows(answers)} to learn from, expected at least {least} (setting "
            f"TRAINING_MIN_CORRECTIONS): {lacking} more corrections, demonstrations or approvals are "
            f"needed.{_waiting(sft)}"
        )
    new = new_rows(session, assistant, sft)
    if new < least_new:
        return (
            f"Found {_rows(new)} that the newest adapter has not learned already, expected at least "
            f"{least_new} (setting TRAINING_MIN_NEW_ROWS): {least_new - new} more are needed.{_waiting(sft)}"
        )
    return ""


def answer_rows(session: Session, sft: Dataset) -> int:
    """How many rows teach an answer; those that teach a topic come besides."""
    query = select(func.count()).where(
        DatasetItem.dataset_id == sft.id,
        DatasetItem.split == Split.TRAIN,
        col(DatasetItem.edit).is_distinct_from(TOPIC),
    )
    return session.exec(query).one()


def new_rows(session: Session, assistant: Assistant, sft: Dataset) -> int:
    """How many rows that teach an answer the newest adapter has not learned; all, before there is one."""
    learned = [
        dataset.id
        for adapter in every(session, assistant)[:1]
        for dataset in datasets_of(session, adapter)
        if dataset.kind == DatasetKind.SFT
    ]
    known = select(DatasetItem.sha256).where(col(DatasetItem.dataset_id).in_(learned))
    query = select(func.count()).where(
        DatasetItem.dataset_id == sft.id,
        DatasetItem.split == Split.TRAIN,
        col(DatasetItem.edit).is_distinct_from(TOPIC),
        col(DatasetItem.sha256).not_in(known),
    )
    return session.exec(query).one()


def _waiting(sft: Dataset) -> str:
    told = [
        sentence.format(sft.counts[key]) for key, sentence in WAITING.items() if sft.counts.get(key)
    ]
    return (
        f" Of {sft.counts['feedback']} words, these do not teach: {'; '.join(told)}."
        if told
        else ""
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
