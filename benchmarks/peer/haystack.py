"""Haystack: BM25 and dense retrievers over its in-memory store, joined by their scores; served by Hayhooks.

Hybrid retrieval: https://haystack.deepset.ai/tutorials/33_hybrid_retrieval. The store's own regular expression for BM25
gives one token a Chinese character; it is a setting, and pairs of characters found more on XQuAD, as did joining by the
distribution of scores instead of by reciprocal rank. The ChineseDocumentSplitter (hanlp-haystack) fetches a model from
the network when it starts, so the RecursiveDocumentSplitter cuts at Chinese punctuation. The server:
https://deepset-ai.github.io/hayhooks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import RecursiveDocumentSplitter
from haystack.components.retrievers import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

from peer import CHINESE_SEPARATORS, CHUNK_CHARS, ENCODER, OVERLAP_CHARS, Found, Hit, Passage, Server

# Pairs of Chinese characters, each character in two of them, and whole words of other scripts.
TOKENS = r"(?=([\u4e00-\u9fff]{2}|(?<![^\W\u4e00-\u9fff])[^\W\u4e00-\u9fff]+))"


class Adapter:
    """A pipeline of the text embedder, both retrievers and the joiner."""

    splitter = f"its RecursiveDocumentSplitter at Chinese punctuation, {CHUNK_CHARS} characters"

    def __init__(self) -> None:
        self.embedder = SentenceTransformersDocumentEmbedder(model=ENCODER, progress_bar=False)
        self.embedder.warm_up()

    def split(self, texts: Sequence[str]) -> list[Passage]:
        separators = [separator for separator in CHINESE_SEPARATORS if separator not in "?"]
        splitter = RecursiveDocumentSplitter(
            split_length=CHUNK_CHARS, split_overlap=OVERLAP_CHARS, split_unit="char", separators=[*separators, "[?]"]
        )
        splitter.warm_up()
        documents = [Document(content=text, meta={"document": number}) for number, text in enumerate(texts)]
        return [Passage(found.meta["document"], found.content) for found in splitter.run(documents)["documents"]]

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        store = InMemoryDocumentStore(bm25_tokenization_regex=TOKENS, embedding_similarity_function="cosine")
        documents = [
            Document(id=str(number), content=passage.text, meta={"document": passage.document})
            for number, passage in enumerate(passages)
        ]
        store.write_documents(self.embedder.run(documents)["documents"])
        store.save_to_disk(str(folder / "store.json"))
        self._use(store)

    def open(self, folder: Path) -> None:
        self._use(InMemoryDocumentStore.load_from_disk(str(folder / "store.json")))

    def _use(self, store: InMemoryDocumentStore) -> None:
        self.pipeline = Pipeline()
        self.pipeline.add_component("embedder", SentenceTransformersTextEmbedder(model=ENCODER, progress_bar=False))
        self.pipeline.add_component("dense", InMemoryEmbeddingRetriever(store))
        self.pipeline.add_component("lexical", InMemoryBM25Retriever(store))
        self.pipeline.add_component("joiner", DocumentJoiner(join_mode="distribution_based_rank_fusion"))
        self.pipeline.connect("embedder.embedding", "dense.query_embedding")
        self.pipeline.connect("dense", "joiner")
        self.pipeline.connect("lexical", "joiner")

    def search(self, question: str, top_k: int) -> Found:
        legs = {name: {"top_k": 2 * top_k} for name in ("dense", "lexical")}
        legs["lexical"]["query"] = question
        found = self.pipeline.run({"embedder": {"text": question}, **legs, "joiner": {"top_k": top_k}})
        return Found([Hit(hit.meta["document"], hit.content, hit.score) for hit in found["joiner"]["documents"]])

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        hayhooks, wrappers = Path(sys.executable).with_name("hayhooks"), Path(__file__).parent / "hayhooks"
        command = [str(hayhooks), "run", "--host", "127.0.0.1", "--port", str(port), "--pipelines-dir", str(wrappers)]
        asked = [("/search/run", {"question": question}) for question in questions]
        return Server(command, asked, {"PEER_INDEX": str(folder)}, "--workers")
