"""Whether the sentences of a generated answer are borne out by the sources that they cite."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from index.chunking.passages import clean
from index.chunking.sentences import clauses
from index.text.dates import MONTH_PREFIXES
from index.text.fold import fold_text
from index.text.names import proper_names
from index.text.scripts import HAN
from index.text.segmenter import Segmenter
from index.text.tokens import FUNCTION_WORDS, tokenize
from index.types import Passage, Span
from qa.llm.figures import SourceFigures, figures, places
from qa.llm.marks import Sentence, without_marks
from qa.schemas import Doubt, Unsupported
from qa.understanding.question import Question

_HAN = re.compile(f"[{HAN}]")
_LETTER = re.compile("[^\\W\\d_]")
_CAPITALISED = re.compile(f"(?<![^\\W{HAN}])(?<!['’.])[A-Z](?:[^\\W{HAN}]|['’&-])*")
_WORD_BEGINS, _WORD_ENDS = re.compile("(?<![a-z0-9])"), re.compile("(?:s|'s)?(?![a-z0-9])")
_POSSESSIVE = re.compile("['’]s?$")
# Capitalised, and figures or nobody's name.
_CALENDAR = re.compile(f"(?:{'|'.join(MONTH_PREFIXES)}|mon|tues|wednes|thurs|fri|satur|sun)[a-z]*")
_LEAD_INS = (":", "：")


class SourcePassage:
    """A numbered passage as a model sees it, and what of it can be checked."""

    def __init__(self, passage: Passage, segmenter: Segmenter) -> None:
        self.passage = passage
        self._segmenter = segmenter
        self.text = clean(passage.text, passage.start, passage.hidden)

    @cached_property
    def folded(self) -> str:
        """All that the model is told of the passage, folded."""
        passage = self.passage
        return fold_text("\n".join([passage.title, *passage.heading_path, *passage.context, self.text]))

    @cached_property
    def figures(self) -> SourceFigures:
        """The figures in it."""
        return SourceFigures(self.folded)

    @cached_property
    def is_han(self) -> bool:
        """Whether it is written in Chinese, as far as names go."""
        return bool(_HAN.search(self.folded))

    @cached_property
    def clauses(self) -> list[tuple[Span, set[str], SourceFigures]]:
        """The clauses of the passage's text, each with its tokens and figures."""
        folded = [(span, fold_text(self.text[slice(*span)])) for span in clauses(self.text)]
        return [(span, set(tokenize(text, self._segmenter)), SourceFigures(text)) for span, text in folded]

    def supporting(self, told: str) -> Span | None:
        """The clause of the passage's text that a sentence comes from: the one that shares most tokens and figures.

        None where none shares any, as between languages.
        """
        folded = fold_text(told)
        tokens, figures_told = set(tokenize(folded, self._segmenter)), figures(folded)
        shared = [len(tokens & own) - len(held.missing(figures_told)) for _, own, held in self.clauses]
        best = max(shared, default=0)
        return self.clauses[shared.index(best)][0] if best > 0 else None


class Checker:
    """Judges each finished sentence; what fails is kept in `unsupported`, with spans of the text that is shown."""

    def __init__(self, question: Question, sources: Mapping[int, SourcePassage]) -> None:
        self._question = question
        self._sources = sources
        self._remark = "（未核实）" if _HAN.search(question.text) else " (unverified)"
        self.unsupported: list[Unsupported] = []

    def prepare(self) -> None:
        """Read the sources; better done while the model is still thinking."""
        for source in self._sources.values():
            source.figures.missing([("0", None)])
            _ = source.clauses

    def judge(self, text: str, sentence: Sentence) -> str:
        """The remark behind a sentence that is not borne out by its sources; empty for one that is."""
        doubt = self._doubt(text, sentence)
        if doubt is None:
            return ""
        reason, what = doubt
        start, end = sentence.span
        self.unsupported.append(Unsupported(start=start, end=end, text=text, reason=reason, what=what))
        return self._remark

    def _doubt(self, text: str, sentence: Sentence) -> tuple[Doubt, list[str]] | None:
        told = unicodedata.normalize("NFKC", without_marks(text))
        if sentence.unknown:
            return "unknown_source", [f"[{n}]" for n in sorted(sentence.unknown)]
        sources = [self._sources[n] for n in sorted(sentence.cited)]
        folded = fold_text(told)
        figures_told = figures(folded)
        held = [source.figures for source in sources] or [SourceFigures("")]
        doubtful = _missing_in_all([each.missing(figures_told) for each in held])
        names = _missing_in_all([self._missing_names(told, folded, source) for source in sources])
        if not sources:
            is_claim = _LETTER.search(told) and (doubtful or not self._is_lead_in(told, folded))
            return ("no_source", []) if is_claim or doubtful else None
        if doubtful:
            return "number_not_in_source", doubtful
        return ("name_not_in_source", names) if names else None

    def _is_lead_in(self, told: str, folded: str) -> bool:
        """Whether a sentence only leads to the next ones and names nothing, as 主要有: does."""
        return told.rstrip().endswith(_LEAD_INS) and not list(self._names(told, folded))

    def _names(self, told: str, folded: str) -> Iterator[str]:
        yield from proper_names(folded, self._question.segmenter)
        yield from latin_names(told)

    def _missing_names(self, told: str, folded: str, source: SourcePassage) -> list[str]:
        """Names in a sentence that the source does not say; between Chinese and other scripts nothing is told."""
        names = []
        if source.is_han:
            names += proper_names(folded, self._question.segmenter)
        if not source.is_han or _HAN.search(told):
            names += latin_names(told)
        ways = {name: self._question.synonyms.ways(fold_text(name)) for name in names}
        return [name for name in names if not any(_stands(way, source.folded) for way in ways[name])]


def latin_names(told: str) -> Iterator[str]:
    """Capitalised words, without a sentence's first one unless another one follows it or it is written in capitals."""
    capitalised = list(_CAPITALISED.finditer(told))
    first = len(told) - len(told.lstrip(" -*•\"“'‘(#\t\n"))
    for place, match in enumerate(capitalised):
        word = _POSSESSIVE.sub("", match.group())
        is_run = place + 1 < len(capitalised) and told[match.end() : capitalised[place + 1].start()].isspace()
        is_plain = match.start() == first and not is_run and not word[1:].isupper()
        folded = word.casefold()
        if not is_plain and folded not in FUNCTION_WORDS and not _CALENDAR.fullmatch(folded):
            yield word


def _stands(name: str, folded: str) -> bool:
    """Whether a folded name stands in a folded text; one in Latin letters as words of its own."""
    if not name.isascii():
        return name in folded
    return any(
        _WORD_BEGINS.match(folded, start) and _WORD_ENDS.match(folded, start + len(name))
        for start in places(name, folded)
    )


def _missing_in_all(missing: Sequence[list[str]]) -> list[str]:
    """What is missing in every one of the sources, in the order of the first."""
    return [text for text in missing[0] if all(text in other for other in missing[1:])] if missing else []
