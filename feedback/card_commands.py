"""`understudy adapters card`: an adapter's model card, on the terminal or in a file."""

from pathlib import Path
from typing import Annotated

import typer

from feedback import adapters, model_card
from feedback.card_shape import Named, markdown
from feedback.database import reading
from feedback.errors import Invalid
from feedback.printing import examples, say

EPILOG = examples(
    "understudy adapters card shop-v3-1a2b3c4d",
    "understudy adapters card shop-v3-1a2b3c4d --named everybody --out README.md",
)

NamedOption = Annotated[
    Named,
    typer.Option(
        help="Who is called by name: nobody; deciders, who asked for it and let it go live; or everybody, "
        "with those who taught it. Customers never are."
    ),
]


def card(
    name: Annotated[str, typer.Argument(help="As `understudy adapters list` prints it.")],
    out: Annotated[Path | None, typer.Option(help="Write it there; a file is replaced.")] = None,
    named: NamedOption = Named.DECIDERS,
) -> None:
    """An adapter's model card in Markdown: use, data, recipe, results, limits, costs, lineage.

    It holds no customer's words. What energy and cost assume: FEEDBACK_CARD_WATTS,
    FEEDBACK_CARD_GRAMS_CO2_PER_KWH, FEEDBACK_CARD_COST_PER_HOUR.
    """
    with reading() as session:
        text = markdown(model_card.card(session, adapters.get(session, name), named))
    if out is None:
        typer.echo(text, nl=False)
        return
    if not out.parent.is_dir() or out.is_dir():
        raise Invalid(
            f"Found no folder for {str(out)!r}, or a folder there; expected a file's name."
        )
    out.write_text(text, encoding="utf-8")
    say(f"The card of {name} is in {out}.")
