"""LlamaIndex: a VectorStoreIndex and a BM25Retriever, fused by relative score.

https://developers.llamaindex.ai/python/framework/integrations/retrievers/reciprocal_rerank_fusion, with num_queries=1,
as more need a language model, and of QueryFusionRetriever's modes the one that found most on XQuAD. BM25's default
pattern wants white space (run-llama/llama_index issue 13866); it takes `token_pattern` and `skip_stemming`, and no
function for words any more, so the pattern gives pairs of characters. These settings are not kept by `persist`: they
are set again after loading, or else Chinese would match nothing. HuggingFaceEmbedding fails on a static model, which
has no greatest length, so the encoder is a class of our own. Documents are split by the SentenceSplitter, whose pattern
knows Chinese punctuation; its sizes are counted in characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from sentence_transformers import SentenceTransformer

from peer import CHUNK_CHARS, ENCODER, OVERLAP_CHARS, Found, Hit, Passage, Server

# Pairs of Chinese characters, each character in two of them, and whole words of other scripts.
TOKENS = r"(?=([\u4e00-\u9fff]{2}|(?<![^\W\u4e00-\u9fff])[^\W\u4e00-\u9fff]+))"


class Encoder(BaseEmbedding):
    """The bundled encoder through sentence-transformers, as "Custom Embeddings" of LlamaIndex's documents does it."""

    _model: SentenceTransformer = PrivateAttr()

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self._model = SentenceTransformer(ENCODER, device="cpu")

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._model.encode(texts, show_progress_bar=False).tolist()
        return found

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Adapter:
    """Both retrievers, and what fuses them."""

    splitter = f"its SentenceSplitter, {CHUNK_CHARS} characters"

    def __init__(self) -> None:
        Settings.embed_model = Encoder(embed_batch_size=64)
        Settings.llm = MockLLM()  # never asked: the question is searched for as it is
        self.passages: int = 0

    def split(self, texts: Sequence[str]) -> list[Passage]:
        splitter = SentenceSplitter(chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS, tokenizer=list)
        documents = [Document(text=text, metadata={"document": number}) for number, text in enumerate(texts)]
        for document in documents:
            document.excluded_embed_metadata_keys = document.excluded_llm_metadata_keys = ["document"]
        nodes = splitter.get_nodes_from_documents(documents)
        return [Passage(node.metadata["document"], node.get_content()) for node in nodes]

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        nodes = [
            TextNode(
                text=passage.text,
                metadata={"document": passage.document},
                excluded_embed_metadata_keys=["document"],
                excluded_llm_metadata_keys=["document"],
            )
            for passage in passages
        ]
        self.index = VectorStoreIndex(nodes)
        self.lexical = BM25Retriever.from_defaults(nodes=nodes, token_pattern=TOKENS, skip_stemming=True, language="zh")
        self.index.storage_context.persist(str(folder / "vectors"))
        self.lexical.persist(str(folder / "bm25"))
        self.passages = len(passages)

    def open(self, folder: Path) -> None:
        self.index = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(folder / "vectors")))
        self.lexical = BM25Retriever.from_persist_dir(str(folder / "bm25"))
        self.lexical.token_pattern, self.lexical.skip_stemming = TOKENS, True
        self.passages = len(self.index.docstore.docs)

    def search(self, question: str, top_k: int) -> Found:
        self.lexical.similarity_top_k = min(2 * top_k, self.passages)
        dense = self.index.as_retriever(similarity_top_k=2 * top_k)
        fused = QueryFusionRetriever(
            [dense, self.lexical], num_queries=1, mode="relative_score", similarity_top_k=top_k, use_async=False
        )
        found = fused.retrieve(question)
        return Found([Hit(hit.metadata["document"], hit.get_content(), hit.score) for hit in found])

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        return None
