"""`understudy adapters export`: an adapter for others: a hub repository, merged weights, a GGUF file."""

from pathlib import Path
from typing import Annotated

import typer

from feedback import adapters, audit
from feedback.card_commands import NamedOption
from feedback.card_shape import Named
from feedback.database import reading, writing
from feedback.model_card import Form
from feedback.printing import examples, say
from training import exporting
from training.merge_job import Precision

EPILOG = examples(
    "understudy adapters export shop-v3-1a2b3c4d --as hub --to handed-on/shop-v3",
    "understudy adapters export shop-v3-1a2b3c4d --as gguf --precision float16 --to handed-on/shop-v3-gguf",
)


def export(
    name: Annotated[str, typer.Argument(help="As `understudy adapters list` prints it.")],
    to: Annotated[Path, typer.Option(help="A folder that is empty or not there yet.")],
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="hub: the adapter as a hub repository; merged: base model and adapter as one checkpoint; "
            "gguf: the same as one file for llama.cpp.",
        ),
    ],
    precision: Annotated[
        Precision | None,
        typer.Option(help="Of merged weights; that of the base model's own weights if not given."),
    ] = None,
    named: NamedOption = Named.DECIDERS,
) -> None:
    """Write an adapter with its model card to a folder. The files are verified first.

    Merged weights and GGUF files are asked the adapter's probe, and kept only when they answer as base
    model and adapter do. Neither uploads anything.
    """
    with reading() as session:
        adapter = adapters.get(session, name)
    exporting.export(adapter, to, form, say, named, precision)
    with writing() as session:
        audit.record(
            session,
            audit.here(),
            "adapter.export",
            name,
            adapter.assistant_id,
            form=form,
            to=str(to),
        )
    say(f"{name} is in {to}.")
