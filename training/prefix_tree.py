"""A batch as a tree: what rows begin with in common is computed once, and nothing is padded.

Rows of a batch share their system prompt, a pair of DPO its whole prompt, two corrections of one talk all
that was said before. A token's hidden state rests on the tokens before it and on nothing else, so one
computation serves all rows that go through it, forwards and backwards, to the last digit but for the order
of sums (with dropout rows also share what is dropped). Each stretch of the tree attends to those on the way
to its root and, causally, to itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv

NAME = "prefix_tree"
SHORTEST = 8
"""Fewest tokens in common that are worth a stretch of their own: each costs a call of the attention."""
UNKNOWN = ("sliding_window", "softcap", "s_aux", "position_bias")
"""What transformers hands to an attention that looks back in another way."""


@dataclass(frozen=True)
class Stretch:
    """Tokens that the same rows go through."""

    length: int
    before: tuple[int, ...]
    """The stretches on the way to it, by their number, from the root."""
    mask: Any
    """length x (all before + length), True where a token is attended to; None: only causal."""


@dataclass(frozen=True)
class PrefixTree:
    """The tree of a batch, laid out one stretch after the other."""

    input_ids: Any
    """1 x tokens."""
    position_ids: Any
    """1 x tokens: how far from its row's beginning each stands."""
    stretches: list[Stretch]
    places: list[list[int]]
    """For each row, where in the layout each of its tokens stands."""


def prefix_tree(rows: Sequence[list[int]]) -> PrefixTree:
    """Lay out rows of token ids."""
    tokens: list[int] = []
    positions: list[int] = []
    stretches: list[Stretch] = []
    places: list[list[int]] = [[] for _ in rows]

    def grow(members: list[int], depth: int, before: tuple[int, ...]) -> None:
        for group in _by_beginning(rows, members, depth):
            until = _shared_until(rows, group, depth)
            first = len(tokens)
            tokens.extend(rows[group[0]][depth:until])
            positions.extend(range(depth, until))
            for row in group:
                places[row].extend(range(first, len(tokens)))
            stretches.append(Stretch(until - depth, before, _mask(depth, until)))
            rest = [row for row in group if len(rows[row]) > until]
            grow(rest, until, (*before, len(stretches) - 1))

    grow(list(range(len(rows))), 0, ())
    return PrefixTree(torch.tensor([tokens]), torch.tensor([positions]), stretches, places)


def _by_beginning(rows: Sequence[list[int]], members: list[int], depth: int) -> Iterator[list[int]]:
    """Those that go on alike for long enough, together; every other one alone."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in members:
        alike[tuple(rows[row][depth : depth + SHORTEST])].append(row)
    for beginning, group in alike.items():
        if len(beginning) == SHORTEST:
            yield group
        else:
            yield from ([row] for row in group)


def _shared_until(rows: Sequence[list[int]], group: list[int], depth: int) -> int:
    least, most = min(rows[row] for row in group), max(rows[row] for row in group)
    until = depth
    while until < min(len(least), len(most)) and least[until] == most[until]:
        until += 1
    return until


def _mask(depth: int, until: int) -> Any:
    if depth == 0:
        return None
    return torch.ones(until - depth, until, dtype=torch.bool).tril(diagonal=depth)


def tree_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    prefix_tree: PrefixTree,
    scaling: float | None = None,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[Any, None]:
    """transformers' attention interface: 1 x heads x tokens x size in, 1 x tokens x heads x size out.

    Raises ValueError where a layer attends in a way that a tree does not know.
    """
    unknown = [name for name in UNKNOWN if more.get(name) is not None]
    if attention_mask is not None or unknown:
        what = ", ".join(unknown) or "a mask of its own"
        raise ValueError(
            f"This model's attention has {what}, which a batch as a tree does not know."
        )
    groups = getattr(module, "num_key_value_groups", 1)
    lengths = [stretch.length for stretch in prefix_tree.stretches]
    queries = query.split(lengths, dim=2)
    keys = repeat_kv(key, groups).split(lengths, dim=2)
    values = repeat_kv(value, groups).split(lengths, dim=2)
    made = []
    for number, stretch in enumerate(prefix_tree.stretches):
        way = (*stretch.before, number)
        made.append(
            scaled_dot_product_attention(
                queries[number],
                torch.cat([keys[each] for each in way], dim=2),
                torch.cat([values[each] for each in way], dim=2),
                attn_mask=stretch.mask,
                is_causal=stretch.mask is None,
                dropout_p=dropout,
                scale=scaling,
            )
        )
    return torch.cat(made, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, tree_attention)


def can_be_a_tree(model: Any) -> bool:
    """Whether a model attends by transformers' interface, to all that came before, by position alone."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return bool(
        getattr(model, "_supports_attention_backend", False)
        and kinds == {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and not getattr(config, "attn_logit_softcapping", None)
    )


@contextmanager
def attending_by_tree(model: Any) -> Iterator[None]:
    """Within it the model's layers read a tree."""
    config = model.config.get_text_config()
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
