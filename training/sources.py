"""Readers of the training files. Every text leaves here folded, as it will be at run time."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.text.fold import fold_text

# Measuring only: a model trained on these would be measured on what it has seen.
EVALUATION_ONLY = re.compile(r"^(xquad\..*\.json|union_questions\.jsonl)$")
# This share of the DRCD and CMRC paragraphs is kept out of training, for measuring.
HELD_OUT_PERCENT = 30

# WordNet writes Arabic with its vowels, people don't.
_ARABIC_MARKS = re.compile("[\u064b-\u065f\u0670\u0640]")
_CEDICT_LINE = re.compile(r"^(\S+) (\S+) \[[^\]]*\] /(.*)/$")
_CEDICT_NOISE = re.compile(r"\[[^\]]*\]|\([^)]*\)|\|\S+")
_CEDICT_POINTER = re.compile(
    r"^(see|variant of|old variant|also written|abbr\. for|surname|cl:|used in|same as|japanese)"
)


class EvaluationFileError(ValueError):
    """A training script was about to read a file that only measures."""


@dataclass(frozen=True, slots=True)
class Article:
    """One article of a law, or one section of a document, with its English where there is one."""

    title: str
    text: str
    title_en: str = ""
    text_en: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A natural question, the paragraph that answers it, and where in it (folded) the answer stands."""

    text: str
    paragraph: str
    answer: str


def guard(path: Path) -> Path:
    """`path` itself, or EvaluationFileError if training must not see the file."""
    if EVALUATION_ONLY.match(path.name):
        raise EvaluationFileError(f"{path} only measures; train on something else")
    return path


def held_out(key: str) -> bool:
    """Whether the paragraphs under `key` (an article's title, or a paragraph) are kept for measuring."""
    return hashlib.sha256(key.encode()).digest()[0] * 100 < HELD_OUT_PERCENT * 256


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with lzma.open(guard(path), "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def laws_cn(data: Path) -> Iterator[Article]:
    """PRC laws, one article each; the chapter is part of the title."""
    for row in _rows(data / "train/laws_cn.jsonl.xz"):
        title = " ".join([row["law"], *row["path"][-1:]])
        yield Article(fold_text(title), fold_text(row["text"]))


def laws_tw(data: Path) -> Iterator[Article]:
    """Taiwan laws, one article each, with the official English where there is one."""
    for row in _rows(data / "train/laws_tw.jsonl.xz"):
        english = fold_text(row.get("law_en") or ""), fold_text(row.get("text_en") or "")
        yield Article(fold_text(row["law"]), fold_text(row["text"]), *english)


def sentence_pairs(data: Path) -> Iterator[tuple[str, str, str]]:
    """Aligned sentences as (source, Chinese, English)."""
    for name in ("gwr", "tatoeba"):
        for row in _rows(data / f"train/{name}_zh_en.jsonl.xz"):
            yield name, fold_text(row["zh"]), fold_text(row["en"])


def documents(data: Path, language: str) -> Iterator[tuple[str, str, str, str]]:
    """Sections of documentation as (document, title, heading, text)."""
    for row in _rows(data / f"train/msdocs_{language}.jsonl.xz"):
        text = re.sub(r"!\s?include\s?\[[^\]]*\]", " ", fold_text(row["text"]))
        yield row["doc"], fold_text(row["title"]), fold_text(row["heading"]), text.strip()


def synsets(data: Path) -> Iterator[dict[str, list[str]]]:
    """WordNet's synonyms by language."""
    for row in _rows(data / "train/wordnet_synsets.jsonl.xz"):
        yield {
            language: [_ARABIC_MARKS.sub("", fold_text(word.replace("_", " "))) for word in words]
            for language, words in row.items()
            if language != "synset"
        }


def dictionary(data: Path) -> Iterator[tuple[str, list[str]]]:
    """CC-CEDICT as (word, glosses), without pronunciations, remarks and mere pointers to other entries."""
    with gzip.open(guard(data / "train/cedict.u8.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            match = _CEDICT_LINE.match(line.strip())
            if not match:
                continue
            glosses = [_CEDICT_NOISE.sub(" ", gloss) for gloss in match[3].split("/")]
            folded = [" ".join(fold_text(gloss).split()) for gloss in glosses]
            kept = [gloss for gloss in folded if gloss and not _CEDICT_POINTER.match(gloss)]
            if kept:
                yield fold_text(match[2]), kept


def natural_questions(data: Path, held: bool = False) -> Iterator[Question]:
    """DRCD and CMRC questions of the part that may be trained on, or of the `held`-out part."""
    for name in ("drcd_dev.json", "cmrc_trial.json"):
        with guard(data / "eval" / name).open(encoding="utf-8") as file:
            articles = json.load(file)["data"]
        for article in articles:
            for paragraph in article["paragraphs"]:
                if held_out(article.get("title") or paragraph["context"]) != held:
                    continue
                context = fold_text(paragraph["context"])
                for qa in paragraph["qas"]:
                    answer = fold_text(qa["answers"][0]["text"]) if qa["answers"] else ""
                    yield Question(fold_text(qa["question"]), context, answer)
