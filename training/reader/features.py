"""Examples to tensors: question, title and headings, and a window of the passage, with the places of the answer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from training.reader.examples import KINDS, Example

MAX_TOKENS = 192
NONE = 0
"""The place that stands for "no answer": the first token."""
UNKNOWN_KIND = -100
_MAX_QUESTION_TOKENS = 64
# Windows in characters, for scripts that write a word in one or two and for those that need six.
_WINDOW_CHARS = {True: 220, False: 560}
_TITLE_SHARE = 0.7
_MARKS = "。！？；\n.!?;"


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids`, `attention`, `in_passage`: `(n, length)`; `starts`, `ends`, `kinds`: `(n,)` of tokens and KINDS."""

    ids: torch.Tensor
    attention: torch.Tensor
    in_passage: torch.Tensor
    starts: torch.Tensor
    ends: torch.Tensor
    kinds: torch.Tensor


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as token ids. `passage_from` is the first token of the passage, after title and headings."""

    ids: list[int]
    passage_from: int
    passage_to: int
    start: int
    end: int
    kind: int


class Encoder:
    """Cuts windows and tokenizes; chance decides where a window lies and whether the title is shown."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> None:
        self._tokenizer, self.rng = tokenizer, rng

    def encode(self, example: Example) -> Encoded | None:
        """One example; None where the answer does not fit."""
        text, start, end = self._window(example)
        above = " ".join((example.title, *example.headings)) if self.rng.random() < _TITLE_SHARE else ""
        second = f"{above}\n{text}" if above else text
        offset = len(second) - len(text)
        question = self._tokenizer(example.question, truncation=True, max_length=_MAX_QUESTION_TOKENS)["input_ids"]
        rest = self._tokenizer(second, add_special_tokens=False, return_offsets_mapping=True)
        room = MAX_TOKENS - len(question) - 2
        ids, places = rest["input_ids"][:room], np.array(rest["offset_mapping"][:room]).reshape(-1, 2)
        separator = self._tokenizer.sep_token_id
        before = len(question) + 1
        first = int(np.searchsorted(places[:, 1], offset, side="right")) if len(places) else 0
        tokens = (NONE, NONE)
        if start is not None and end is not None:
            covered = np.flatnonzero((places[:, 1] > start + offset) & (places[:, 0] < end + offset))
            if not len(covered) or places[covered[-1], 1] < end + offset:
                return None
            tokens = (before + int(covered[0]), before + int(covered[-1]))
        kind = KINDS.index(example.kind) if example.kind else UNKNOWN_KIND
        return Encoded([*question, separator, *ids, separator], before + first, before + len(ids), *tokens, kind)

    def _window(self, example: Example) -> tuple[str, int | None, int | None]:
        """A part of the passage, cut at ends of sentences where there are some, with the answer anywhere in it."""
        text, size = example.passage, _WINDOW_CHARS[example.language in ("zh", "ja", "ko", "th")]
        size = int(size * self.rng.uniform(0.5, 1.0))
        span = self.rng.choice(example.answers) if example.answers else None
        if len(text) <= size:
            return text, *(span or (None, None))
        first, last = span or ((place := self.rng.randrange(len(text))), place)
        slack = max(0, size - (last - first))
        start = max(0, first - self.rng.randint(0, slack))
        start = max((text.rfind(mark, start, first) + 1 for mark in _MARKS), default=0) or start
        end = min(len(text), max(last, start + size))
        return text[start:end], *((first - start, last - start) if span else (None, None))


def batches(
    examples: Iterator[Example], encoder: Encoder, size: int, pad: int, pool: int = 40
) -> Iterator[tuple[Batch, int]]:
    """Batches of examples of like length, and how many examples are in each."""
    while True:
        taken = list(islice(examples, size * pool))
        encoded = sorted(filter(None, map(encoder.encode, taken)), key=lambda one: len(one.ids))
        groups = [encoded[start : start + size] for start in range(0, len(encoded), size)]
        for group in encoder.rng.sample(groups, len(groups)):
            yield collate(group, pad), len(group)


def collate(group: Sequence[Encoded], pad: int) -> Batch:
    """Encoded examples as one batch, padded to the longest."""
    length = max(len(one.ids) for one in group)
    ids = torch.full((len(group), length), pad)
    attention, in_passage = torch.zeros_like(ids), torch.zeros((len(group), length), dtype=torch.bool)
    for row, one in enumerate(group):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        attention[row, : len(one.ids)] = 1
        in_passage[row, one.passage_from : one.passage_to] = True
        in_passage[row, NONE] = True
    return Batch(
        ids,
        attention,
        in_passage,
        torch.tensor([one.start for one in group]),
        torch.tensor([one.end for one in group]),
        torch.tensor([one.kind for one in group]),
    )
