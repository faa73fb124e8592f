"""Examples to learn from: a question, a passage under its title, and where the answer stands, if it does."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.sources import EvaluationFileError

# The kinds of answer that a question asks for; `none` is talk, which asks for nothing.
KINDS = (
    "number",
    "sum",
    "date",
    "duration",
    "person",
    "organisation",
    "place",
    "code",
    "yes_no",
    "list",
    "explanation",
    "none",
)
Span = tuple[int, int]
_DATE = re.compile(
    r"(?:\d{1,4}年)?(?:\d{1,2}月)?(?:\d{1,2}[日号])?"  # 2019年3月5日
    r"|\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?"  # 2019-03-05
    r"|(?:\w+ )?\d{1,2}(?:st|nd|rd|th)?\.? (?:\w+ )?\d{4}"  # 5 March 2019
    r"|(?:1[0-9]|20)\d{2}"  # 2019
)
_SUM = re.compile(
    r"[$€£¥₩฿]\s?\d|\d[\d,.]*\s?(?:(?:[百千万亿億]|[mb]illion)*\s?(?:元|円|圓|dollars|euros?|рубл|บาท|원))"
)
_DURATION = re.compile(
    r"\d+(?:\.\d+)?\s?(?:个月|個月|小时|小時|分钟|分鐘|天|周|年间|か月|日間|時間|days?|weeks?|months?|years?|hours?|minutes?)"
)
_NUMBER = re.compile(
    r"[^\w]*[\d０-９一二三四五六七八九十百千万亿][\d０-９,.，．一二三四五六七八九十百千万亿余多]*\s?\S{0,12}"
)


@dataclass(frozen=True, slots=True)
class Example:
    """`answers` are spans of `passage`, any of which answers; none where the passage does not.

    `kind` is one of KINDS, or None where it is not known. `language` is that of the passage.
    """

    question: str
    title: str
    passage: str
    answers: tuple[Span, ...]
    kind: str | None
    language: str
    headings: tuple[str, ...] = ()


def read(path: Path) -> Iterator[Example]:
    """The examples of a file as data/README.md describes them (`train/qa/*.jsonl.xz`).

    Raises:
        EvaluationFileError: the file lies under `eval/`, and only measures.

    """
    if "eval" in path.parts:
        raise EvaluationFileError(f"{path} only measures; train on something else")
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            spans = tuple((a["start"], a["start"] + len(a["text"])) for a in row["answers"])
            if row["answerable"] != bool(spans) or "context" not in row:
                continue
            first = row["context"][slice(*spans[0])] if spans else ""
            title = row.get("title", "").replace("_", " ")
            yield Example(row["question"].strip(), title, row["context"], spans, kind_of(first), row["lang"][:2])


def read_squad(path: Path, language: str) -> Iterator[Example]:
    """The examples of a SQuAD-style file that may be trained on (`drcd_dev.json`, `cmrc_trial.json`).

    Raises:
        EvaluationFileError: the file is one of XQuAD's, which only measure.

    """
    if path.name.startswith("xquad"):
        raise EvaluationFileError(f"{path} only measures; train on something else")
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            for question in paragraph["qas"]:
                spans = tuple({_span(text, answer["text"], answer["answer_start"]) for answer in question["answers"]})
                if all(start >= 0 for start, _ in spans):
                    kind = kind_of(text[slice(*spans[0])])
                    yield Example(question["question"], article.get("title", ""), text, spans, kind, language)


def _span(text: str, answer: str, start: int) -> Span:
    """Where an answer stands; CMRC's own starts are off now and then."""
    if not text.startswith(answer, start):
        start = text.find(answer)
    return start, start + len(answer)


def kind_of(answer: str) -> str | None:
    """The kind of an answer as far as its own form tells: figures and explanations; None for names and the like."""
    text = answer.strip()
    if not text:
        return None
    for kind, pattern in (("date", _DATE), ("duration", _DURATION), ("sum", _SUM), ("number", _NUMBER)):
        if pattern.fullmatch(text) if kind != "sum" else pattern.match(text):
            return kind
    return "explanation" if len(text.split()) > 10 or (len(text) > 25 and " " not in text) else None
