"""A small random adapter with the evidence that a trainer leaves.

    python -m benchmarks.random_adapter MODEL FOLDER SEED

A process of its own, so that whoever measures something needs no torch in theirs.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from feedback.adapter_folder import PROBE
from tests.engine.adapters import make_adapter
from training.probing import probe

ASKED = ("Do you mend zips?", "When do you open?")


def main(model: str, folder: Path, seed: int) -> None:
    """Make it and probe it."""
    make_adapter(model, folder, rank=16, seed=seed)
    (folder / "README.md").unlink(missing_ok=True)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, str(folder)).eval()
    prompts = [[{"role": "user", "content": question}] for question in ASKED]
    cases = probe(tuned, AutoTokenizer.from_pretrained(model), prompts, 12)
    (folder / PROBE).write_text(json.dumps([case.model_dump() for case in cases]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
