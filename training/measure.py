"""What a model finds: XQuAD, the held-out parts of DRCD and CMRC, and the questions about unions.

`python -m training.measure index/bundled --data ../shared/data --seeds ../shared/seeds`
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index.chunking.passages import split as passages_of
from index.indexing.digest import embed
from index.indexing.embeddings import Advance, Embedder
from index.store.codes import decode
from index.text.fold import fold_text
from training.sources import held_out

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
Figures = dict[str, float]

XQUAD_LANGUAGES = ("zh", "en", "ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi")
_SENTENCE_END = re.compile(r"(?<=[。!?！？;；\n])|(?<=[.।؟]\s)")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Questions, paragraphs, and for each question the number of the paragraph that answers it."""

    questions: list[str]
    paragraphs: list[str]
    relevant: list[int]


def squad(path: Path, only_held_out: bool = False) -> Retrieval:
    """A file in SQuAD's format; all its paragraphs, and its questions (or those kept out of training)."""
    questions: list[str] = []
    relevant: list[int] = []
    paragraphs: list[str] = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            asked = [fold_text(qa["question"]) for qa in paragraph["qas"]]
            if not only_held_out or held_out(article.get("title") or paragraph["context"]):
                questions += asked
                relevant += [len(paragraphs)] * len(asked)
            paragraphs.append(fold_text(paragraph["context"]))
    return Retrieval(questions, paragraphs, relevant)


def split(text: str) -> list[str]:
    """Sentences of `text`; a very short one stays with the next."""
    found: list[str] = []
    for part in _SENTENCE_END.split(text):
        if found and len(found[-1].strip()) < 8:
            found[-1] += part
        elif part.strip():
            found.append(part)
    return found or [text]


def ndcg10(scores: Vectors, relevant: Sequence[int]) -> float:
    """Mean nDCG@10 with one relevant column for each row of `scores`; ties count against it."""
    own = scores[np.arange(len(scores)), relevant][:, None]
    ranks = (scores >= own).sum(axis=1)
    return float(np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean())


def passage_scores(encode: Encode, questions: Vectors, paragraphs: Sequence[str]) -> dict[str, Vectors]:
    """Scores of paragraphs taken whole, by their best sentence, and as the mean of the two."""
    whole = questions @ encode(paragraphs).T
    sentences = [split(paragraph) for paragraph in paragraphs]
    flat = questions @ encode([sentence for found in sentences for sentence in found]).T
    starts = np.concatenate([[0], np.cumsum([len(found) for found in sentences])[:-1]])
    best = np.maximum.reduceat(flat, starts, axis=1)
    return {"whole": whole, "sentence": best, "both": (whole + best) / 2}


def retrieval(encode: Encode, name: str, task: Retrieval) -> Figures:
    """nDCG@10 of `task`, by each way of scoring."""
    scores = passage_scores(encode, encode(task.questions), task.paragraphs)
    return {f"{name} {way}": ndcg10(found, task.relevant) for way, found in scores.items()}


def xquad(encode: Encode, data: Path, languages: Sequence[str] = XQUAD_LANGUAGES) -> Figures:
    """XQuAD within each of `languages`, and English questions to Chinese paragraphs."""
    tasks = {language: squad(data / f"eval/xquad.{language}.json") for language in languages}
    figures: Figures = {}
    for language, task in tasks.items():
        figures |= retrieval(encode, f"xquad {language}", task)
    if {"en", "zh"} <= set(languages):
        crossing = Retrieval(tasks["en"].questions, tasks["zh"].paragraphs, tasks["zh"].relevant)
        figures |= retrieval(encode, "xquad en-zh", crossing)
    if len(languages) == len(XQUAD_LANGUAGES):
        figures["xquad mean of 12 both"] = float(np.mean([figures[f"xquad {name} both"] for name in languages]))
    return figures


def _overlaps(sentence: str, evidence: Sequence[str]) -> bool:
    return any(part in sentence or (len(sentence) >= 12 and sentence in part) for part in evidence)


class _Folding(Embedder):
    """Gives the index the vectors of an encoding function that wants folded text."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    def encode(self, texts: Sequence[str], advance: Advance | None = None) -> Vectors:
        """Vectors `(len(texts), dim)` of texts as they stand in a document."""
        return self._encode([fold_text(text) for text in texts])


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about unions with its evidence, both folded, and its language."""

    text: str
    language: str
    evidence: list[str]


def _asked(data: Path) -> list[_Asked]:
    lines = (data / "eval/union_questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("evidence")]
    return [
        _Asked(
            fold_text(row["question"]),
            "en" if row["question"].isascii() else "zh",
            [fold_text(part) for part in row["evidence"]],
        )
        for row in rows
    ]


def union_passages(encode: Encode, data: Path, seeds: Path) -> Figures:
    """Whether a passage with the evidence is the best, or among the best five, by vectors as the index makes them."""
    texts: list[str] = []
    groups: list[Vectors] = []
    dim = encode(["一"]).shape[1]
    for path in sorted(seeds.glob("*.txt")):
        text = path.read_text(encoding="utf-8-sig")
        sections = passages_of(text)
        texts += ["".join(fold_text(text[section.start : section.end]).split()) for section in sections]
        units = embed(((text, section) for section in sections), _Folding(encode))
        groups += [decode(unit.codes, dim) for unit in units]
    starts = np.cumsum([0, *map(len, groups[:-1])])
    vectors = np.concatenate(groups)
    hits: dict[str, list[bool]] = defaultdict(list)
    for question in _asked(data):
        scores = np.maximum.reduceat(vectors @ encode([question.text])[0], starts)
        evidence = ["".join(part.split()) for part in question.evidence]
        found = [any(part in texts[place] for part in evidence) for place in np.argsort(-scores, kind="stable")[:5]]
        hits[f"union {question.language} passages hit@1"].append(found[0])
        hits[f"union {question.language} passages hit@5"].append(any(found))
    return {name: float(np.mean(values)) for name, values in hits.items()}


def union(encode: Encode, data: Path, seeds: Path) -> Figures:
    """Whether a sentence with the evidence is the best, or among the best five, of all sentences of the seeds.

    Sentences are scored alone, and "in line": by the mean of their own score and that of the line they stand in.
    """
    lines = [
        line
        for path in sorted(seeds.glob("*.txt"))
        for line in fold_text(path.read_text(encoding="utf-8")).split("\n")
        if line.strip()
    ]
    parts = [split(line) for line in lines]
    sentences = [sentence for found in parts for sentence in found]
    owners = np.repeat(np.arange(len(lines)), [len(found) for found in parts])
    vectors, line_vectors = encode(sentences), encode(lines)
    hits: dict[str, list[bool]] = defaultdict(list)
    for asked in _asked(data):
        question = encode([asked.text])[0]
        alone = vectors @ question
        in_line = (alone + (line_vectors @ question)[owners]) / 2
        for way, scores in (("", alone), (" in line", in_line)):
            best = np.argsort(-scores, kind="stable")[:5]
            found = [_overlaps(sentences[place], asked.evidence) for place in best]
            hits[f"union {asked.language}{way} hit@1"].append(found[0])
            hits[f"union {asked.language}{way} hit@5"].append(any(found))
    return {name: float(np.mean(values)) for name, values in hits.items()}


def everything(encode: Encode, data: Path, seeds: Path, languages: Sequence[str] = XQUAD_LANGUAGES) -> Figures:
    """All measures, by name."""
    figures = xquad(encode, data, languages)
    for name, file in (("drcd held-out", "drcd_dev.json"), ("cmrc held-out", "cmrc_trial.json")):
        figures |= retrieval(encode, name, squad(data / "eval" / file, only_held_out=True))
    return figures | union(encode, data, seeds) | union_passages(encode, data, seeds)


def main() -> None:
    """Measure the model in a folder."""
    from model2vec import StaticModel

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    options = parser.parse_args()
    model = StaticModel.from_pretrained(options.model, normalize=True)

    def encode(texts: Sequence[str]) -> Vectors:
        return np.asarray(model.encode(list(texts), use_multiprocessing=False), np.float32)

    for name, value in everything(encode, options.data, options.seeds).items():
        print(f"{name:28} {value:.3f}")


if __name__ == "__main__":
    main()
