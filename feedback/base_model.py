"""What a base model is called outside this machine, and its licence where it is known. No file is read.

Used by model cards and exports: a folder's place is this machine's business, and no hub knows it.
"""

import re
from pathlib import Path, PurePath

EMBEDDED = "embedded"
"""What the model that ships in a package is called in settings and rows."""
EMBEDDED_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
EMBEDDED_LICENCE = "apache-2.0"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def hub_id(base_model: str) -> str | None:
    """The name on a hub, such as 'owner/name'; None for a folder, of which no hub knows."""
    if base_model == EMBEDDED:
        return EMBEDDED_ID
    is_id = HUB_ID.fullmatch(base_model) is not None and not Path(base_model).is_dir()
    return base_model if is_id else None


def shown(base_model: str) -> str:
    """The name on a hub, or else the folder's own name without its place."""
    return hub_id(base_model) or PurePath(base_model).name


def licence(base_model: str) -> str | None:
    """The licence's identifier on a hub; None: it is not known here."""
    return EMBEDDED_LICENCE if base_model == EMBEDDED else None
