"""Where a benchmark's figures are kept."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(name: str, told: dict[str, Any], drawing: str = "") -> None:
    """Write `results/DATE-NAME.json`, and the drawing beside it."""
    to = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{name}"
    to.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if drawing:
        to.with_suffix(".svg").write_text(drawing, encoding="utf-8")
