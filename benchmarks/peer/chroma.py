"""Chroma: dense search alone, served by `chroma run`.

Its sparse vectors and hybrid search are for Chroma Cloud (docs.trychroma.com/cloud/schema/sparse-vector-search). The
server takes vectors, not questions: over HTTP the questions come encoded, which the others do themselves. It brings no
splitter that needs no model; its guides use LangChain's, so that is what splits, with LangChain's separators.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import chromadb
from chromadb.config import Settings
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction
from langchain_text_splitters import RecursiveCharacterTextSplitter

from peer import CHINESE_SEPARATORS, CHUNK_CHARS, ENCODER, OVERLAP_CHARS, Found, Hit, Passage, Server

NAME = "passages"
QUERY = "/api/v2/tenants/default_tenant/databases/default_database/collections/{}/query"


class Adapter:
    """A collection in a folder."""

    splitter = f"LangChain's RecursiveCharacterTextSplitter with Chinese separators, {CHUNK_CHARS} characters"

    def __init__(self) -> None:
        self.encoder = SentenceTransformerEmbeddingFunction(model_name=ENCODER, device="cpu")

    def split(self, texts: Sequence[str]) -> list[Passage]:
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS, separators=CHINESE_SEPARATORS, keep_separator="end"
        )
        return [Passage(number, part) for number, text in enumerate(texts) for part in splitter.split_text(text)]

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        client = self._client(folder)
        self.collection = client.create_collection(
            NAME, embedding_function=self.encoder, configuration={"hnsw": {"space": "cosine"}}
        )
        most = client.get_max_batch_size()
        for start in range(0, len(passages), most):
            part = passages[start : start + most]
            self.collection.add(
                ids=[str(start + number) for number in range(len(part))],
                documents=[passage.text for passage in part],
                metadatas=[{"document": passage.document} for passage in part],
            )

    def open(self, folder: Path) -> None:
        self.collection = self._client(folder).get_collection(NAME, embedding_function=self.encoder)

    def _client(self, folder: Path) -> chromadb.ClientAPI:
        return chromadb.PersistentClient(str(folder / "chroma"), Settings(anonymized_telemetry=False))

    def search(self, question: str, top_k: int) -> Found:
        found = self.collection.query(query_texts=[question], n_results=top_k)
        rows = zip(found["metadatas"][0], found["documents"][0], found["distances"][0], strict=True)
        return Found([Hit(meta["document"], text, 1 - distance) for meta, text, distance in rows])

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        self.open(folder)
        path = QUERY.format(self.collection.id)
        asked = [
            (path, {"query_embeddings": [vector.tolist()], "n_results": 5}) for vector in self.encoder(list(questions))
        ]
        command = [str(Path(sys.executable).with_name("chroma")), "run", "--host", "127.0.0.1", "--port", str(port)]
        return Server([*command, "--path", str(folder / "chroma")], asked)
