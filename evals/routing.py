"""Was the customer sent the right way: answered, or handed over to a person? Pure. Called by scores.py."""

from feedback.desk import Desk, why_hand_over
from feedback.tables import Expects


def side_taken(desk: Desk, question: str, answer: str) -> Expects:
    """What the service would make of this exchange: a hand-over to a person, or an answer."""
    handed_over = why_hand_over(desk, question, answer) is not None
    return Expects.HANDOVER if handed_over else Expects.ANSWER
