"""The bundled model's Unigram tokenizer, opened in no time and shared by processes, and its files.

`tokenizers` reads tokenizer.json in 0.2 s and keeps 140 MB of it in memory, which pays off for documents only. Here the
pieces are in a trie that is mapped into memory, and the likeliest cut is found as `tokenizers` finds it (Kudo 2018,
Viterbi), four times slower a character. `write` makes both files of a tokenizer.json; the tests compare the two.

    pieces.marisa       the pieces
    pieces.safetensors  `ids` of the pieces in the trie's order; `scores` in the order of the ids, with the `counts` of
                        neighbours that share one; `longest`, the characters of the longest piece

`Stretches` cuts many texts, and looks at each stretch of text only once. A piece holds certain characters side by side.
Between two that stand so in no piece at all every way to cut the text has a boundary, so what lies between such places,
in Chinese two characters on average, can be cut by itself. Text repeats its stretches: of 160,000 in 1,440 passages
6,000 are distinct.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import marisa_trie
import numpy as np
from numpy.typing import NDArray

from index.text.fold import SPECIAL, code_points, fold_many, text_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int64]

_TYPES = {"I8": np.int8, "I32": np.int32, "F32": np.float32, "F64": np.float64}
# What a character that is no piece counts for beside the least likely piece, as in sentencepiece.
_UNKNOWN_PENALTY = 10.0
# When so many stretches are known they are forgotten: some 40 MB.
_MAX_KNOWN = 1 << 17
# For the first stretches tokenizer.json need not be read: it takes as long as these, and 140 MB.
_FEW = 30_000
_SPACE = ord(" ")
# Pairs of characters are kept as bits of a hash; a pair taken for another only makes a stretch longer.
_PAIR_BITS = 22
_SPREAD = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B))


class UnigramTrie:
    """The pieces of a Unigram model over runs of letters, marks and digits."""

    def __init__(self, folder: Path) -> None:
        """Map the files in `folder`.

        Raises:
            OSError, ValueError: they are missing or damaged.
        """
        try:
            self._trie = marisa_trie.Trie().mmap(str(folder / "pieces.marisa"))
        except RuntimeError as exc:
            raise ValueError(str(exc)) from exc
        ids, scores, counts, longest = mapped(folder / "pieces.safetensors", "ids", "scores", "counts", "longest")
        if len(ids) != len(self._trie):
            raise ValueError("pieces.safetensors and pieces.marisa are of two models")
        # Single items of a view are read in a third of the time of an array's.
        self._known = ids.data
        self._scores = np.repeat(scores, counts).data
        self._longest = int(longest[0])
        self._unknown = float(scores.min()) - _UNKNOWN_PENALTY

    def ids(self, text: str) -> list[int]:
        """The ids of the pieces of a folded text, without what is unknown, whose vector is zero."""
        return [id for run in _runs(text) for id in self._cut(run)]

    def all(self) -> list[str]:
        """Every piece, in no particular order."""
        return list(self._trie.keys())

    def _cut(self, run: str) -> Iterator[int]:
        # For each end of a piece the best way there: its score, where its last piece starts, and that piece's id.
        best: list[tuple[float, int, int] | None] = [(0.0, 0, 0), *[None] * len(run)]
        known, scores, prefixes = self._known, self._scores, self._trie.iter_prefixes_with_ids
        for start in range(len(run)):
            way = best[start]
            assert way is not None  # a single character always is a piece, known or not
            pieces = [(start + len(piece), known[key]) for piece, key in prefixes(run[start : start + self._longest])]
            steps = [(end, way[0] + scores[id], id) for end, id in pieces]
            if not pieces or pieces[0][0] > start + 1:
                steps.append((start + 1, way[0] + self._unknown, 0))
            for end, score, id in steps:
                there = best[end]
                if there is None or score > there[0]:
                    best[end] = (score, start, id)
        backwards: list[int] = []
        end = len(run)
        while end:
            _, end, id = best[end] or (0.0, 0, 0)
            backwards.append(id)
        return (id for id in reversed(backwards) if id)


def _runs(text: str) -> Iterator[str]:
    for is_run, run in groupby(text, key=_is_part):
        if is_run:
            yield "".join(run)


def _is_part(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd"


def write(folder: Path) -> None:
    """Make the two files beside the tokenizer.json in `folder`."""
    from safetensors.numpy import save_file

    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    ids = {piece: id for id, (piece, _) in enumerate(vocabulary) if id}
    trie = marisa_trie.Trie(ids)
    trie.save(str(folder / "pieces.marisa"))
    in_order = np.array([ids[trie.restore_key(key)] for key in range(len(trie))], np.int32)
    alike = [(score, len(list(same))) for score, same in groupby(score for _, score in vocabulary)]
    scores, counts = np.array([score for score, _ in alike]), np.array([count for _, count in alike], np.int32)
    longest = np.array([max(map(len, ids))], np.int32)
    save_file({"ids": in_order, "scores": scores, "counts": counts, "longest": longest}, folder / "pieces.safetensors")


class Stretches:
    """The ids of a unigram tokenizer's pieces, the same that it gives for folded text.

    It must cut text character by character before it looks for pieces, as by a pattern of one class of characters,
    and no piece may hold Han text and a Western word side by side, as folding takes the spaces between them away.
    Where two ways to cut are equally likely, one text in ten thousand, the tokenizer chooses by what it rounded before.
    """

    def __init__(self, pieces: UnigramTrie, tokenizer: Callable[[], Tokenizer]) -> None:
        self._pieces = pieces
        self._tokenizer = tokenizer
        self._lock = Lock()
        codes = code_points("\n".join(pieces.all()))
        self._is_used = np.zeros(SPECIAL, dtype=np.bool_)
        self._is_used[codes] = True
        self._is_used[code_points("\n ")] = False
        self._stand_together = np.zeros(1 << _PAIR_BITS, dtype=np.bool_)
        self._stand_together[_pairs(codes)[self._is_used[codes[:-1]] & self._is_used[codes[1:]]]] = True
        self._learned = 0
        self._forget()

    def _forget(self) -> None:
        self._known = _StretchNumbers()
        self._firsts = self._counts = self._ids = np.zeros(0, dtype=np.int64)

    def ids(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The ids of all texts after each other, and how many each has. The texts are not folded yet."""
        codes, ends = fold_many(texts, "\n")
        is_used = self._is_used.take(codes, mode="clip")
        goes_on = np.zeros(len(codes), dtype=np.bool_)
        goes_on[1:] = is_used[:-1] & self._stand_together.take(_pairs(codes))
        is_first = is_used & ~goes_on
        stretches = _split(np.where(is_used, codes, _SPACE), is_first)
        with self._lock:
            ids, counts = self._of(stretches)
        after = np.concatenate(([0], np.cumsum(counts)))
        return ids, np.diff(after[np.searchsorted(np.flatnonzero(is_first), ends)], prepend=0)

    def _of(self, stretches: list[str]) -> tuple[Ids, Ids]:
        """The ids of stretches, and how many each has."""
        if len(self._known) > _MAX_KNOWN:
            self._forget()
        rows = np.fromiter(map(self._known.__getitem__, stretches), dtype=np.int64, count=len(stretches))
        self._learn()
        counts = self._counts.take(rows)
        before = np.cumsum(counts) - counts
        return self._ids.take(np.repeat(self._firsts.take(rows) - before, counts) + np.arange(counts.sum())), counts

    def _learn(self) -> None:
        """Ask the tokenizer for what was met for the first time."""
        fresh, self._known.fresh = self._known.fresh, []
        if not fresh:
            return
        self._learned += len(fresh)
        ids, counts = flat(map(self._pieces.ids, fresh)) if self._learned < _FEW else self._tokenized(fresh)
        self._firsts = np.concatenate([self._firsts, len(self._ids) + np.cumsum(counts) - counts])
        self._counts = np.concatenate([self._counts, counts])
        self._ids = np.concatenate([self._ids, ids])

    def _tokenized(self, stretches: list[str]) -> tuple[Ids, Ids]:
        encoding = self._tokenizer().encode("\n".join(stretches), add_special_tokens=False)
        starts = np.array([start for start, _ in encoding.offsets], dtype=np.int64)
        ends = np.cumsum([len(stretch) + 1 for stretch in stretches])
        counts = np.bincount(np.searchsorted(ends, starts, side="right"), minlength=len(stretches))
        return np.array(encoding.ids, dtype=np.int64), counts


class _StretchNumbers(dict[str, int]):
    """The number of each stretch, in the order in which they are met; `fresh` are those met since it was emptied."""

    def __init__(self) -> None:
        self.fresh: list[str] = []

    def __missing__(self, stretch: str) -> int:
        self.fresh.append(stretch)
        self[stretch] = number = len(self)
        return number


def flat(ids: Iterable[list[int]]) -> tuple[Ids, Ids]:
    """The ids of several texts after each other, and how many each has."""
    lists = list(ids)
    counts = np.array(list(map(len, lists)), dtype=np.int64)
    return np.array(list(chain.from_iterable(lists)), dtype=np.int64), counts


def _pairs(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A hash of each character with the one after it."""
    first, second = _SPREAD
    return ((codes[:-1] * first) ^ codes[1:]) * second >> np.uint32(32 - _PAIR_BITS)


def _split(codes: NDArray[np.uint32], is_first: NDArray[np.bool_]) -> list[str]:
    """The stretches of text that begin at these places; spaces stand between some of them."""
    places = np.arange(len(codes)) + np.cumsum(is_first)
    spaced = np.full(len(codes) + int(is_first.sum()), _SPACE, dtype=np.uint32)
    spaced[places] = codes
    return text_of(spaced).split()


def mapped(path: Path, *names: str) -> list[NDArray[Any]]:
    """The tensors of these names.

    Raises:
        OSError, ValueError, KeyError: the file is missing, damaged or of another kind.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return [
        np.memmap(path, _TYPES[tensor["dtype"]], "r", 8 + size + tensor["data_offsets"][0], tuple(tensor["shape"]))
        for tensor in (header[name] for name in names)
    ]
