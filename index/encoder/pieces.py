"""The bundled model's tokenizer for short texts, such as questions: opened in no time, and shared by processes.

`tokenizers` reads tokenizer.json in 0.2 s and keeps 140 MB of it in memory, which pays off for documents only. Here the
pieces are in a trie that is mapped into memory, and the likeliest cut is found as `tokenizers` finds it (Kudo 2018,
Viterbi), four times slower a character. `write` makes both files of a tokenizer.json; the tests compare the two.

    pieces.marisa       the pieces
    pieces.safetensors  `ids` of the pieces in the trie's order; `scores` in the order of the ids, with the `counts` of
                        neighbours that share one; `longest`, the characters of the longest piece
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import marisa_trie
import numpy as np

from index.encoder.tensors import mapped

# What a character that is no piece counts for beside the least likely piece, as in sentencepiece.
_UNKNOWN_PENALTY = 10.0


class Pieces:
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
        found: list[int] = []
        end = len(run)
        while end:
            _, end, id = best[end] or (0.0, 0, 0)
            found.append(id)
        return (id for id in reversed(found) if id)


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
