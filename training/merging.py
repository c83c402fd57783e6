"""Merges an adapter into its base model: `python -m training.merging FOLDER`. In a process of its own.

What comes out is asked the same as what went in, and kept only when it answers alike. See merge_job.py for
what it reads and writes.
"""

import shutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from service.engine.embedded_model import parsed_once
from training import gguf_file
from training.job import write_json
from training.merge_job import (
    CHECKPOINT,
    ERROR,
    MAY_DIFFER,
    ORDER,
    REPORT,
    Order,
    Precision,
    Report,
)
from training.rows import Refused, prompt_tokens

KNOWN: dict[torch.dtype, Precision] = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}


@dataclass(frozen=True)
class Said:
    """A greedy answer, and the logits it was chosen from."""

    prompt: list[int]
    answer: list[int]
    logits: Any
    """[tokens of the answer, vocabulary], float32."""


def run(order: Order, folder: Path) -> Report:
    """From an order to a checkpoint or a GGUF file, checked."""
    precision = order.precision or _own_precision(order.base_model)
    tokenizer = AutoTokenizer.from_pretrained(order.base_model)
    if order.gguf:  # before anything takes long
        gguf_file.check(AutoConfig.from_pretrained(order.base_model), tokenizer)
    print("Loading the base model and the adapter.")
    model = peft.PeftModel.from_pretrained(_model(order.base_model), str(order.adapter)).eval()
    prompts = [prompt_tokens(tokenizer, messages) for messages in order.prompts]
    said = [_say(model, tokenizer, prompt, order.tokens) for prompt in prompts]
    print(f"Merging; weights are kept in {precision}.")
    merged = model.merge_and_unload(safe_merge=True).to(getattr(torch, precision))
    checkpoint = folder / CHECKPOINT
    merged.save_pretrained(str(checkpoint))
    tokenizer.save_pretrained(str(checkpoint))
    del model, merged
    print(f"Asking the merged model {len(prompts)} questions.")
    merged = _model(str(checkpoint)).eval()
    difference = _check("merged model", merged, tokenizer, said, order.tokens, precision)
    gguf_difference = None
    if order.gguf:
        gguf_difference = _as_gguf(order, folder, merged, tokenizer, said, precision)
        shutil.rmtree(checkpoint)
    return Report(
        precision=precision,
        questions=len(prompts),
        merged_difference=difference,
        gguf_difference=gguf_difference,
    )


def _as_gguf(
    order: Order, folder: Path, merged: Any, tokenizer: Any, said: list[Said], precision: Precision
) -> float:
    assert order.gguf is not None
    print("Writing the GGUF file.")
    gguf_file.write(folder / order.gguf, order.name, merged, tokenizer, precision)
    del merged
    print("Loading the GGUF file again, and asking it.")
    where = {"pretrained_model_name_or_path": str(folder), "gguf_file": order.gguf}
    with parsed_once():
        again = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    for messages, one in zip(order.prompts, said, strict=True):
        if (found := prompt_tokens(again, messages)) != one.prompt:
            raise Refused(
                f"The GGUF file's tokenizer makes {len(found)} tokens of a prompt, the base model's "
                f"{len(one.prompt)}, not all the same: it cannot be kept in such a file."
            )
    return _check("GGUF file", model, tokenizer, said, order.tokens, precision)


def _model(place: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)


def _own_precision(base_model: str) -> Precision:
    """That of the base model's weights; of others, such as quantized ones, float32."""
    said = AutoConfig.from_pretrained(base_model).get_text_config().dtype or torch.float32
    dtype = getattr(torch, said) if isinstance(said, str) else said
    return KNOWN.get(dtype, "float32")


def _say(model: Any, tokenizer: Any, prompt: list[int], tokens: int) -> Said:
    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
    )
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        whole = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=greedy
        )
    answer = whole[0, len(prompt) :].tolist()
    return Said(prompt, answer, _logits(model, prompt, answer))


def _logits(model: Any, prompt: list[int], answer: list[int]) -> Any:
    with torch.inference_mode():
        ids = torch.tensor([prompt + answer])
        kept = model(input_ids=ids, use_cache=False, logits_to_keep=len(answer) + 1).logits
    return kept[0, :-1].float()


def _check(
    what: str, model: Any, tokenizer: Any, said: list[Said], tokens: int, precision: Precision
) -> float:
    """How far the logits differ at most; raises Refused where that is too far, or an answer is another."""
    furthest = 0.0
    for number, one in enumerate(said, 1):
        apart = (_logits(model, one.prompt, one.answer) - one.logits).abs().max()
        furthest = max(furthest, float(apart.nan_to_num(float("inf"))))
        answer = _say(model, tokenizer, one.prompt, tokens).answer
        if not furthest <= MAY_DIFFER[precision] or answer != one.answer:
            raise Refused(
                f"The {what} does not answer as base and adapter do: on question {number} of {len(said)} "
                f"a logit differs by {furthest:.3g} (at most {MAY_DIFFER[precision]:g} is expected in "
                f"{precision}), and the greedy answer is {'the same' if answer == one.answer else 'other'}. "
                + ("" if precision == "float32" else "Try --precision float32.")
            )
    return furthest


def main() -> int:
    """The process: its exit code is 0 when the output was made and checked."""
    folder = Path(sys.argv[1])
    transformers.utils.logging.disable_progress_bar()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        report = run(Order.model_validate_json((folder / ORDER).read_text("utf-8")), folder)
    except Exception as error:
        traceback.print_exc()
        reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        write_json(folder / ERROR, {"error": reason})
        return 1
    write_json(folder / REPORT, report.model_dump())
    return 0


if __name__ == "__main__":
    sys.exit(main())
