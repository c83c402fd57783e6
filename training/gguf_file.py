"""A merged model as one GGUF file, tokenizer included, by the package `gguf` and its table of names.

For decoders laid out as Llama's or Qwen2's, and byte-level BPE tokenizers. Whatever else is refused
with what is supported; merging.py then asks the file whether it answers alike.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from training.merge_job import Precision
from training.rows import Refused

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
}
"""By transformers' model_type."""
SPLITS = ("llama-bpe", "qwen2", "tekken", "gpt-4o")
"""How tokenizers cut text before they merge, as llama.cpp calls it; beside them "gpt-2"."""
KINDS: dict[Precision, tuple[GGMLQuantizationType, LlamaFileType]] = {
    "float32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "float16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bfloat16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
}


def check(config: Any, tokenizer: Any) -> None:
    """Refused, with what is supported, for a model that cannot be kept in such a file."""
    if config.model_type not in ARCHITECTURES:
        known = ", ".join(repr(each) for each in ARCHITECTURES)
        raise Refused(
            f"GGUF is written for the model types {known}; found {config.model_type!r}. Export it as "
            "'merged', and convert that with the tools of the runtime it is for."
        )
    scaled = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if scaled != "default":
        raise Refused(f"GGUF is written for plain rotary positions; found rope_type {scaled!r}.")
    if getattr(config, "use_sliding_window", False):
        raise Refused("GGUF is written for full attention; found a sliding window.")
    pre_tokenizer(tokenizer)


def write(path: Path, name: str, model: Any, tokenizer: Any, precision: Precision) -> None:
    """The file, from a model whose weights can be read as float32."""
    config = model.config
    check(config, tokenizer)
    arch = ARCHITECTURES[config.model_type]
    writer = GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    kind, file_type = KINDS[precision]
    writer.add_name(name)
    writer.add_file_type(file_type)
    _add_shape(writer, config)
    _add_tokenizer(writer, tokenizer, config.vocab_size)
    for tensor_name, values in _tensors(model, arch):
        # Norms and biases are few, and runtimes compute with them as float32.
        data = values if values.ndim == 1 else gguf.quants.quantize(values, kind)
        writer.add_tensor(tensor_name, data, raw_dtype=kind if values.ndim > 1 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: GGUFWriter, config: Any) -> None:
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(head_dim)


def _tensors(model: Any, arch: gguf.MODEL_ARCH) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every weight by its name in the file, as float32."""
    config = model.config
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise Refused(
                f"The weights {name!r} have no name in a GGUF file of {config.model_type!r}."
            )
        values = tensor.float().numpy()
        if arch == gguf.MODEL_ARCH.LLAMA and ".attn_q." in known:
            values = _halves_in_turn(values, config.num_attention_heads)
        if arch == gguf.MODEL_ARCH.LLAMA and ".attn_k." in known:
            values = _halves_in_turn(values, config.num_key_value_heads)
        yield known, np.ascontiguousarray(values)


def _halves_in_turn(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Of each head, rows of the first and the second half in turn: of llama's two ways to pair what rotates
    together, transformers takes halves, and GGUF neighbours."""
    half = values.shape[0] // heads // 2
    parted = values.reshape(heads, 2, half, *values.shape[1:])
    return parted.swapaxes(1, 2).reshape(values.shape)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Any, vocabulary: int) -> None:
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    ids = {index: token for token, index in tokenizer.get_vocab().items()}
    if len(ids) > vocabulary:
        raise Refused(f"The tokenizer has {len(ids)} tokens, the model {vocabulary}.")
    added = {each["id"]: each["special"] for each in told["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer(tokenizer))
    writer.add_token_list([ids.get(index, f"[PAD{index}]") for index in range(vocabulary)])
    writer.add_token_types([_type(index, ids, added) for index in range(vocabulary)])
    merges = told["model"]["merges"]
    writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in merges])
    for token_id, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.unk_token_id, writer.add_unk_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if token_id is not None:
            add(token_id)
    begun = tokenizer("a")["input_ids"][0]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and begun == tokenizer.bos_token_id)
    writer.add_chat_template(tokenizer.chat_template)


def _type(index: int, ids: dict[int, str], added: dict[int, bool]) -> TokenType:
    if index not in ids:
        return TokenType.UNUSED
    if index in added:
        return TokenType.CONTROL if added[index] else TokenType.USER_DEFINED
    return TokenType.NORMAL


def pre_tokenizer(tokenizer: Any) -> str:
    """How it cuts text before it merges, as llama.cpp calls it; Refused where that has no name here."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    found = told["pre_tokenizer"] or {}
    if told["model"]["type"] == "BPE":
        if (
            found.get("type") == "ByteLevel"
            and found["use_regex"]
            and not found["add_prefix_space"]
        ):
            return "gpt-2"
        steps = [each["type"] for each in found.get("pretokenizers", [])]
        if steps == ["Split", "ByteLevel"]:
            split = found["pretokenizers"][0]["pattern"].get("Regex")
            for name in SPLITS:
                if GGUF_PRE_TOKENIZER_SPLITS.get(name) == split:
                    return name
    raise Refused(
        f"GGUF is written with byte-level BPE tokenizers that cut as {', '.join(('gpt-2', *SPLITS))} do; "
        f"this one ({told['model']['type']}) does not. Export it as 'merged'."
    )
