"""bm25s: lexical search alone, with jieba's words.

Its README tells to give `Tokenizer` a splitter of one's own (Tokenization), to load the index mapped into memory and to
save the tokenizer's vocabulary beside it. Jieba's search mode found more on XQuAD than its plain one, and the library's
Chinese stop words found less than none. It brings no splitter: it gets our passages. https://github.com/xhluca/bm25s
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import bm25s
import jieba
from bm25s.tokenization import Tokenizer

from peer import Found, Hit, Passage, Server


class Adapter:
    """A `bm25s.BM25` and its tokenizer."""

    splitter = "ours: it brings none"

    def __init__(self) -> None:
        jieba.initialize()
        self.tokenizer = Tokenizer(splitter=jieba.lcut_for_search, stopwords=[])
        self.passages: list[Passage] = []

    def split(self, texts: Sequence[str]) -> list[Passage]:
        raise NotImplementedError("bm25s brings no splitter")

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        self.passages = list(passages)
        self.tokenizer.reset_vocab()
        tokens = self.tokenizer.tokenize([passage.text for passage in passages], return_as="tuple", show_progress=False)
        self.index = bm25s.BM25()
        self.index.index(tokens, show_progress=False)
        kept = [{"document": passage.document, "text": passage.text} for passage in passages]
        self.index.save(str(folder), corpus=kept, show_progress=False)
        self.tokenizer.save_vocab(str(folder))

    def open(self, folder: Path) -> None:
        self.index = bm25s.BM25.load(str(folder), mmap=True, load_corpus=False)
        self.tokenizer.load_vocab(str(folder))
        with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
            self.passages = [Passage(found["document"], found["text"]) for found in map(json.loads, lines)]

    def search(self, question: str, top_k: int) -> Found:
        tokens = self.tokenizer.tokenize([question], update_vocab=False, show_progress=False)
        rows, scores = self.index.retrieve(tokens, k=min(top_k, len(self.passages)), show_progress=False)
        found = [self.passages[row] for row in rows[0]]
        return Found([Hit(p.document, p.text, float(score)) for p, score in zip(found, scores[0], strict=True)])

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        return None
