"""Unanswerable on purpose: questions like people's own that a passage nearly answers.

A question with another year, number or name than its passage has, and passages near a question that hold no answer to
it: another paragraph under the same title, one that shares its words, another part of the same paragraph.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from training.reader.examples import Example
from training.reader.special import sentence_around

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_HAN_NUMBER = re.compile("(?<=第)[一二三四五六七八九十]+(?=[次届届期条号回屆章批])")
_WITHOUT_SPACES = ("zh", "ja", "th")
_NEIGHBOURS = 8
_ROWS_AT_ONCE = 512


class NearMisses:
    """Makes unanswerable examples of answerable ones of one language."""

    def __init__(self, examples: Sequence[Example], rng: random.Random) -> None:
        self._rng = rng
        self._titles = sorted({example.title for example in examples if 1 < len(example.title) <= 20})
        self._passages = list(dict.fromkeys(example.passage for example in examples))
        self._by_title: dict[str, list[str]] = defaultdict(list)
        for title, passage in dict.fromkeys((example.title, example.passage) for example in examples):
            self._by_title[title].append(passage)
        words = {"analyzer": "char", "ngram_range": (2, 2)} if examples[0].language in _WITHOUT_SPACES else {}
        self._vectorizer = HashingVectorizer(n_features=2**18, alternate_sign=False, **words)
        self._weights = TfidfTransformer()
        self._matrix = self._weights.fit_transform(self._vectorizer.transform(self._passages)).tocsc()

    def of(self, example: Example, near: Sequence[int]) -> Example | None:
        """An unanswerable example made of an answerable one with its `neighbours`; None where none can be made."""
        makers = [(0.34, self._swapped), (0.2, self._same_title), (0.12, self._other_part), (0.34, None)]
        maker = self._rng.choices([m for _, m in makers], [w for w, _ in makers])[0]
        return (maker(example) if maker else None) or self._neighbour(example, near)

    def neighbours(self, examples: Sequence[Example]) -> list[list[int]]:
        """For each example, passages that share the rarest words with its question, nearest first."""
        rows: list[list[int]] = []
        for start in range(0, len(examples), _ROWS_AT_ONCE):
            questions = [example.question for example in examples[start : start + _ROWS_AT_ONCE]]
            scores = (self._weights.transform(self._vectorizer.transform(questions)) @ self._matrix.T).toarray()
            best = np.argpartition(-scores, min(_NEIGHBOURS, scores.shape[1] - 1))[:, :_NEIGHBOURS]
            rows.extend(best.tolist())
        return rows

    def _swapped(self, example: Example) -> Example | None:
        """The question with another number, ordinal or title in it that the passage does not have."""
        question = example.question
        numbers = [*_NUMBER.finditer(question), *_HAN_NUMBER.finditer(question)]
        if numbers:
            number = self._rng.choice(numbers)
            other = self._other_number(number[0])
            if other in example.passage or other in example.title:
                return None
            return replace(example, question=question[: number.start()] + other + question[number.end() :], answers=())
        if len(example.title) > 1 and example.title in question and self._titles:
            other = self._rng.choice(self._titles)
            if other not in example.passage and other not in question:
                swapped = question.replace(example.title, other)
                return replace(example, question=swapped, answers=())
        return None

    def _other_number(self, number: str) -> str:
        if not number[0].isdigit():
            return self._rng.choice("一二三四五六七八九")
        if number.isdigit() and len(number) == 4:
            return str(int(number) + self._rng.choice((-3, -2, -1, 1, 2, 3, 10)))
        place = self._rng.randrange(len(number))
        digit = self._rng.choice("123456789")
        return number[:place] + digit + number[place + 1 :] if number[place].isdigit() else number + digit

    def _same_title(self, example: Example) -> Example | None:
        others = [passage for passage in self._by_title[example.title] if self._lacks(passage, example)]
        return replace(example, passage=self._rng.choice(others), answers=()) if example.title and others else None

    def _other_part(self, example: Example) -> Example | None:
        """The paragraph without the sentence that answers."""
        start, end = sentence_around(example.passage, *example.answers[0])
        rest = example.passage[:start] + example.passage[end:]
        return replace(example, passage=rest, answers=()) if len(rest) > 60 and self._lacks(rest, example) else None

    def _neighbour(self, example: Example, near: Sequence[int]) -> Example | None:
        others = [passage for row in near if self._lacks(passage := self._passages[row], example)]
        return replace(example, passage=self._rng.choice(others), answers=()) if others else None

    @staticmethod
    def _lacks(passage: str, example: Example) -> bool:
        return passage != example.passage and all(example.passage[a:b] not in passage for a, b in example.answers)
