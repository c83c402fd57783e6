"""What training goes on from: the base model, or the live adapter as it was published."""

from pathlib import Path

from feedback import adapter_folder, adapters, lineage
from feedback.database import reading
from feedback.tables import Assistant
from training.settings import TrainingSettings


def name_of_start(assistant: Assistant, settings: TrainingSettings) -> str | None:
    """The live adapter's name, where the settings say to go on from it and there is one that may be.

    Where rows it learned were erased since, whatever went on from it would know them: then from the base.
    """
    if settings.start == "base":
        return None
    with reading() as session:
        live = adapters.live_adapter(session, assistant)
        if live is None or lineage.erased_rows(session, live):
            return None
        adapters.check_fits(session, assistant, live)
        return live.name


def folder_of(name: str | None) -> Path | None:
    """An adapter's folder, its files being what was published; None: from the base model."""
    if name is None:
        return None
    with reading() as session:
        adapter = adapters.get(session, name)
        adapters.check_usable(session, adapter)
        folder = adapters.folder_of(adapter)
    adapter_folder.verify(folder, adapter.digest)
    return folder
