"""LangChain: FAISS and BM25 over jieba's words, joined by the EnsembleRetriever.

BM25Retriever takes `preprocess_func` for words (docs.langchain.com/oss/python/integrations/retrievers/bm25); here
jieba's plain mode found more on XQuAD than its search mode. It cannot be saved, so it is made anew at each start from
the documents that FAISS keeps. Separators for Chinese:
docs.langchain.com/oss/python/integrations/splitters/recursive_text_splitter, "languages without word boundaries".
LangServe is no longer maintained, so there is no server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jieba
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from peer import CHINESE_SEPARATORS, CHUNK_CHARS, ENCODER, OVERLAP_CHARS, Found, Hit, Passage, Server


class Adapter:
    """A vector store, a BM25 retriever, and what joins them."""

    splitter = f"its RecursiveCharacterTextSplitter with Chinese separators, {CHUNK_CHARS} characters"

    def __init__(self) -> None:
        jieba.initialize()
        self.encoder = HuggingFaceEmbeddings(model_name=ENCODER, encode_kwargs={"batch_size": 64})

    def split(self, texts: Sequence[str]) -> list[Passage]:
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS, separators=CHINESE_SEPARATORS, keep_separator="end"
        )
        found = splitter.create_documents(list(texts), [{"document": number} for number in range(len(texts))])
        return [Passage(document.metadata["document"], document.page_content) for document in found]

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        documents = [
            Document(page_content=passage.text, metadata={"document": passage.document, "number": number})
            for number, passage in enumerate(passages)
        ]
        self.vectors = FAISS.from_documents(documents, self.encoder)
        self.vectors.save_local(str(folder))
        self._join(documents)

    def open(self, folder: Path) -> None:
        # The file holds a pickle, which is ours.
        self.vectors = FAISS.load_local(str(folder), self.encoder, allow_dangerous_deserialization=True)
        self._join(self.vectors.get_by_ids(list(self.vectors.index_to_docstore_id.values())))

    def _join(self, documents: Sequence[Document]) -> None:
        self.lexical = BM25Retriever.from_documents(documents, preprocess_func=jieba.lcut)

    def search(self, question: str, top_k: int) -> Found:
        self.lexical.k = 2 * top_k
        dense = self.vectors.as_retriever(search_kwargs={"k": 2 * top_k})
        joined = EnsembleRetriever(retrievers=[self.lexical, dense], weights=[0.5, 0.5], id_key="number")
        found = joined.invoke(question)[:top_k]
        return Found([Hit(hit.metadata["document"], hit.page_content, None) for hit in found])

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        return None
