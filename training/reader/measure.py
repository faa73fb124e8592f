"""How well a reader reads: span F1 on question and own paragraph, and how well it knows that there is no answer."""

from __future__ import annotations

import json
import lzma
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from training.reader.examples import Example
from training.reader.features import MAX_TOKENS, NONE, Encoded, collate
from training.reader.network import Reader

_MAX_SPAN_TOKENS = 48
_STRIDE_TOKENS = 64
_CHARACTERS = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|[^\\W_]+")


@dataclass(frozen=True, slots=True)
class Found:
    """The likeliest span of a passage; `score` is its logits less those of "no answer"."""

    text: str
    score: float


def xquad(path: Path, every: int = 1) -> Iterator[Example]:
    """One of `every` questions of a SQuAD-style file."""
    row = 0
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                row += 1
                spans = tuple((a["answer_start"], a["answer_start"] + len(a["text"])) for a in question["answers"])
                if row % every == 0:
                    yield Example(question["question"], "", paragraph["context"], spans, None, path.suffixes[0][1:])


def rows(path: Path, every: int = 1) -> Iterator[Example]:
    """One of `every` questions of a file as data/README.md describes them."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                row = json.loads(line)
                spans = tuple((a["start"], a["start"] + len(a["text"])) for a in row["answers"])
                yield Example(row["question"], row.get("title", ""), row["context"], spans, None, row["lang"][:2])


@torch.inference_mode()
def read(reader: Reader, tokenizer: PreTrainedTokenizerFast, example: Example) -> Found:
    """The likeliest span of a whole passage, read in windows that overlap."""
    device = next(reader.parameters()).device
    question = tokenizer(example.question, truncation=True, max_length=64)["input_ids"]
    above = f"{example.title}\n" if example.title else ""
    second = tokenizer(above + example.passage, add_special_tokens=False, return_offsets_mapping=True)
    ids, places = second["input_ids"], second["offset_mapping"]
    heading = sum(end <= len(above) for _, end in places)
    room = MAX_TOKENS - len(question) - 2 - heading
    best = Found("", -1e9)
    for start in range(heading, max(heading + 1, len(ids)), _STRIDE_TOKENS):
        window = [*ids[:heading], *ids[start : start + room]]
        first = len(question) + 1 + heading
        encoded = Encoded(
            [*question, tokenizer.sep_token_id, *window, tokenizer.sep_token_id],
            first,
            first + len(window) - heading,
            0,
            0,
            0,
        )
        batch = collate([encoded], tokenizer.pad_token_id)
        batch = type(batch)(*(getattr(batch, name).to(device) for name in type(batch).__slots__))
        starts, ends, _ = (logits[0].float().cpu().numpy() for logits in reader(batch))
        nothing = starts[NONE] + ends[NONE]
        sums = starts[first : first + len(window) - heading, None] + ends[None, first : first + len(window) - heading]
        sums = np.where(np.triu(np.ones_like(sums), 0) * np.tril(np.ones_like(sums), _MAX_SPAN_TOKENS) > 0, sums, -1e9)
        if sums.size:
            a, b = np.unravel_index(sums.argmax(), sums.shape)
            score = float(sums[a, b] - nothing)
            if score > best.score:
                best = Found((above + example.passage)[places[start + a][0] : places[start + b][1]].strip(), score)
        if start + room >= len(ids):
            break
    return best


def f1(said: str, right: str) -> float:
    """Overlap of two answers: of characters in scripts without blanks, of words elsewhere (as SQuAD and CMRC count)."""
    own, its = (Counter(_CHARACTERS.findall(unicodedata.normalize("NFKC", text).lower())) for text in (said, right))
    shared = sum((own & its).values())
    return 2 * shared / (sum(own.values()) + sum(its.values())) if shared else float(own == its)


def figures(reader: Reader, tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> dict[str, float]:
    """Mean F1 of the answerable, and the area under the curve of score for "there is an answer" where both occur."""
    reader.eval()
    answers = [read(reader, tokenizer, example) for example in examples]
    scores = [
        max(f1(found.text, example.passage[a:b]) for a, b in example.answers)
        for found, example in zip(answers, examples, strict=True)
        if example.answers
    ]
    table = {"n": float(len(examples)), "f1": round(float(np.mean(scores)), 4)}
    yes = np.array([found.score for found, example in zip(answers, examples, strict=True) if example.answers])
    no = np.array([found.score for found, example in zip(answers, examples, strict=True) if not example.answers])
    if len(no):
        table["auc"] = round(float((yes[:, None] > no).mean() + 0.5 * (yes[:, None] == no).mean()), 4)
        bound = np.quantile(yes, 0.1)
        table["refused_at_0.1"] = round(float((no < bound).mean()), 4)
    return table
