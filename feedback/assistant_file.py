"""An assistant written down as TOML, as in `examples/`. Read by the command line."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from feedback.assistants import Gate, Sampling, SwapPolicy
from feedback.desk import Desk
from feedback.errors import Invalid
from feedback.learning import Learning
from feedback.recipes import Recipe


class AssistantFile(BaseModel):
    """What the file may say; only the name and the prompt must be there, or given as options."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    title: str | None = None
    base_model: str | None = None
    prompt: str | None = None
    topics: list[str] = []
    sampling: Sampling = Sampling()
    gate: Gate = Gate()
    auto_promote: bool = False
    schedule_minutes: int | None = None
    desk: Desk = Desk()
    swap: SwapPolicy = SwapPolicy()
    learning: Learning = Learning()
    recipe: Recipe = Recipe()


def read(path: Path) -> AssistantFile:
    """The file's content, or Invalid naming the file and the key that is wrong."""
    try:
        return AssistantFile(**tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Invalid(f"The file {str(path)!r} cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path.name} is not TOML: {error}.") from None
    except ValidationError as error:
        raise Invalid("\n".join(_sentences(path, error))) from None


def _sentences(path: Path, error: ValidationError) -> list[str]:
    return [
        f"{path.name}, key {'.'.join(map(str, problem['loc']))!r}: {problem['msg']}."
        for problem in error.errors()
    ]
