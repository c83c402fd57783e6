"""What the API says of personal data that was found: types, counts, and texts with placeholders."""

from typing import Self

from pydantic import Field

from feedback.redactions import Report
from service.shapes import Shape


class NewTry(Shape):
    """A text to try."""

    assistant: str | None = Field(
        None, description="Needed only if the key is not for one assistant."
    )
    text: str


class RedactionOut(Shape):
    """What a text becomes."""

    text: str = Field(description="With a placeholder such as <PERSON> in place of each value.")
    found: dict[str, int] = Field(description="How many of each type.")


class FoundOut(Shape):
    """What was found of one type."""

    type: str
    count: int
    texts: int = Field(description="How many texts have it.")
    examples: list[str] = Field(description="A few of these texts, with placeholders.")


class RedactionReportOut(Shape):
    """What was found in an assistant's feedback."""

    rules: str = Field(description="Names the rules: the redactor's version and the patterns.")
    texts: int = Field(description="Different texts that datasets may need.")
    looked_through: int = Field(description="How many of them were redacted already.")
    with_any: int = Field(description="How many of these hold personal data.")
    is_whole: bool = Field(description="Whether all texts were counted.")
    found: list[FoundOut]

    @classmethod
    def of(cls, report: Report) -> Self:
        """The public side of a report."""
        return cls(
            rules=report.rules,
            texts=report.texts,
            looked_through=report.looked_through,
            with_any=report.with_any,
            is_whole=report.is_whole,
            found=[
                FoundOut(type=type, count=one.count, texts=one.texts, examples=one.examples)
                for type, one in report.found.items()
            ],
        )
