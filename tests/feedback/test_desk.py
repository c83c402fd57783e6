"""The words with which a person takes over, in every language of the widget."""

import pytest

from feedback.desk import Desk, why_hand_over


@pytest.mark.parametrize(
    "question",
    [
        "Can I TALK to a person, please?",
        "I\u2019d like to speak to a human",
        "Ich möchte mit einem Menschen sprechen",
        "Kann ich bitte mit jemandem reden?",
        "Quiero hablar con una persona",
        "¿Hay un agente humano?",
        "أريد التحدث إلى شخص",
        "اريد ان اتحدث مع موظف",
        "أُرِيدُ التَّحَدُّثَ إِلَى شَخْص",
    ],
)
def test_whoever_asks_for_a_person_in_their_language_gets_one(question: str) -> None:
    why = why_hand_over(Desk(), question)
    assert why is not None
    assert why[0] == "customer_asked"


@pytest.mark.parametrize(
    "answer",
    [
        "I can\u2019t help with that.",
        "Dabei kann ich Ihnen leider nicht helfen.",
        "No puedo ayudarte con eso.",
        "عذرًا، لا يمكنني مساعدتك في ذلك.",
    ],
)
def test_a_bot_that_cannot_hands_over_in_every_language(answer: str) -> None:
    why = why_hand_over(Desk(), "Where is it?", answer)
    assert why is not None
    assert why[0] == "bot_cannot"


@pytest.mark.parametrize(
    "question",
    [
        "How many people fit into the tent?",
        "Passt das Zelt für einen Menschen?",
        "¿Cabe una persona en la tienda?",
        "هل تتسع الخيمة لشخص واحد؟",
    ],
)
def test_people_in_a_question_are_no_wish_for_one(question: str) -> None:
    assert why_hand_over(Desk(), question, "Yes, it fits.") is None
