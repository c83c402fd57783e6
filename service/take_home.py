"""A conversation as plain text for the customer to keep, in their language. Called by the desk's door."""

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from feedback.desk import desk_of
from feedback.sites import Look
from feedback.tables import Assistant, Conversation, Message, Speaker

Language = Literal["en", "de", "es", "ar"]
YOU = {"en": "You", "de": "Sie", "es": "Tú", "ar": "أنت"}
AGENT = {"en": "Agent", "de": "Mitarbeiter", "es": "Agente", "ar": "موظف"}


def language_of(wished: Language | None, look: Look | None) -> str:
    """What the customer reads: what their page says, else the site's language, else English."""
    if wished or look is None or look.language == "auto":
        return wished or "en"
    return look.language


def as_text(
    assistant: Assistant, conversation: Conversation, said: list[Message], language: str
) -> str:
    """Who said what when, in the time zone of the desk."""
    zone = ZoneInfo(desk_of(assistant).timezone)

    def local(moment: datetime) -> datetime:
        return moment.astimezone(zone)

    names = {
        Speaker.CUSTOMER: YOU[language],
        Speaker.ASSISTANT: assistant.title,
        Speaker.AGENT: AGENT[language],
    }
    lines = [f"{assistant.title}, {local(conversation.created_at):%Y-%m-%d %H:%M %Z}", ""]
    for message in said:
        if message.text:
            who = message.author or names[Speaker(message.speaker)]
            lines += [f"{who} ({local(message.created_at):%H:%M}):", message.text, ""]
    return "\n".join(lines)
