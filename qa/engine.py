"""Questions to answers over the configured index. Knows no HTTP, argv or chat."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from index.encoder import Encoder, load_encoder
from index.errors import ConfigError, DocumentNotFoundError, IndexMismatchError, IndexMissingError, QueryError
from index.indexing.build import MakeWorkers, sync
from index.indexing.report import IndexReport, SyncReport, report_of
from index.indexing.workers import Workers
from index.retrieval.reranker import Reranker
from index.retrieval.search import retrieve
from index.store import Settings, Store
from index.text.segmenter import PLAIN, Segmenter, Synonyms, read_dictionary, read_synonyms
from index.types import Document, DocumentInfo, Filters, Progress
from qa.answering.ranking import ReadPassages, rank_passages
from qa.answering.responses import QueryContext, passages_response, quoted, whole
from qa.answering.why_not import find_document, why_not
from qa.configuration.config import Config, load_config
from qa.errors import disk_error, is_of_disk
from qa.schemas import (
    DEFAULT_TOP_K,
    MAX_ANSWER_CHARS,
    MAX_QUERY_CHARS,
    MAX_TOP_K,
    MAX_TURNS,
    AnswerKind,
    AskResponse,
    Delta,
    SearchResponse,
    Sources,
    WhyNotResponse,
)
from qa.understanding.conversation import Turn, interpret
from qa.understanding.question import Question

if TYPE_CHECKING:
    from qa.llm.model import LanguageModel

logger = logging.getLogger(__name__)

# So many passages are looked through for those whose article is the one that the question names.
_SEARCH_POOL = 30


class Engine:
    """One configured index, ready for questions from many threads.

    >>> Engine.open("config.yaml").ask("兰州帮扶中心资助了多少学生").answer.value
    '1097名'
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._base = config.base
        self.encoder: Encoder = load_encoder(config.encoder_model, config.encoder_options)
        self.reranker = Reranker(config.reranker_model) if config.reranker_model else None
        self.model = _model(config)
        self._opening = threading.Lock()
        self._opened: Store | None = None
        self._is_outdated = False
        self._read_lexicon()

    @classmethod
    def open(cls, config: Path | str | None = None) -> Engine:
        """An engine for a configuration file, by default ./config.yaml if there is one.

        Raises:
            ConfigError, EncoderError: what is configured can't be used.
        """
        return cls(load_config(config))

    def _read_lexicon(self) -> None:
        """Read the dictionary and the synonyms, as they are now."""
        words, synonyms = self.config.dictionary_file, self.config.synonyms_file
        self._synonyms = read_synonyms(synonyms) if synonyms else Synonyms()
        self._segmenter = Segmenter(read_dictionary(words)) if words else PLAIN

    def _settings(self) -> Settings:
        return Settings(self.encoder.fingerprint, self._segmenter)

    @property
    def store(self) -> Store:
        """The newest published generation of the index.

        Raises:
            IndexUnusableError: there is none; the message says what to run.
        """
        opened = self._opened
        if opened is None or opened.is_stale():
            with self._opening:
                if self._opened is None or self._opened.is_stale():
                    self._opened = self._reopen(self._opened)
                opened = self._opened
        return opened

    def _reopen(self, opened: Store | None) -> Store:
        """The newest generation; the one that is `opened` when the newest was made with other settings."""
        try:
            if opened is not None:
                self._read_lexicon()
            return self.config.place.open(self._settings())
        except (ConfigError, IndexMismatchError) as exc:
            if opened is None or not opened.is_there():
                raise
            if not self._is_outdated:
                logger.warning("%s (or restart this process with the new settings); answering from the old one", exc)
            self._is_outdated = True
            return opened

    def index(
        self,
        only: Sequence[Path] | None = None,
        *,
        may_be_gone: bool = False,
        allow_empty: bool = False,
        rebuild: bool = False,
        progress: Progress | None = None,
        ray: str | None = None,
    ) -> SyncReport:
        """Bring the index in step with the corpus and the dictionary; see `index.indexing.build.sync`.

        Raises:
            DiskError: the disk is full or can't be written to.
        """
        self._read_lexicon()
        try:
            self._opened, report = sync(
                self.config.corpus_folders,
                self.config.index_dir,
                self.encoder,
                base=self._base,
                segmenter=self._segmenter,
                only=only or (),
                may_be_gone=may_be_gone,
                allow_empty=allow_empty,
                rebuild=rebuild,
                progress=progress,
                workers=_workers(ray),
                place=self.config.place,
            )
        except OSError as exc:
            if not is_of_disk(exc):
                raise
            raise disk_error(exc, Path(exc.filename or self.config.index_dir)) from exc
        return report

    def index_if_missing(self, progress: Progress | None = None) -> SyncReport | None:
        """Index the corpus when that has never been done; None when there is an index."""
        try:
            _ = self.store
        except IndexMissingError:
            return self.index(progress=progress)
        return None

    def report(self) -> IndexReport:
        """What the index holds, what could not be read into it, and what to be wary of."""
        return report_of(self.store)

    def search(
        self, query: str, *, top_k: int = DEFAULT_TOP_K, filters: Filters | None = None, explain: bool = False
    ) -> SearchResponse:
        """The passages that fit `query` best.

        Raises:
            QueryError: the query is empty or too long, or `top_k` is out of range.
        """
        started = time.perf_counter()
        check(query, top_k)
        return passages_response(self._asked(query, query, top_k, filters, explain, started))

    def ask(
        self,
        query: str,
        *,
        top_k: int = DEFAULT_TOP_K,
        filters: Filters | None = None,
        explain: bool = False,
        history: Sequence[Turn] = (),
        answer: AnswerKind | None = None,
    ) -> AskResponse:
        """The answer to `query` with its citations, or the reason why the documents give none.

        `history` are earlier questions, oldest first: 那武威呢 is understood from them. `answer` is quoted from the
        documents or written by the language model; None lets the model write where one is configured.

        Raises:
            QueryError: the query is empty or too long, `history` is too long or one of its turns is, `top_k` is out of
                range, or there is no model to write.
        """
        return whole(self.stream(query, top_k=top_k, filters=filters, explain=explain, history=history, answer=answer))

    def stream(
        self,
        query: str,
        *,
        top_k: int = DEFAULT_TOP_K,
        filters: Filters | None = None,
        explain: bool = False,
        history: Sequence[Turn] = (),
        answer: AnswerKind | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Sources | Delta | AskResponse]:
        """What `ask` returns, as it comes: the sources first, then the text in parts, then the whole response.

        A part of the text with `replace` takes the place of all that came before; the whole response is what counts.
        Where nobody waits for it any more, set `stop`, from any thread: the model's work ends, and nothing more comes.

        Raises:
            QueryError: as `ask`, when the first part is asked for.
        """
        started = time.perf_counter()
        check(query, top_k, history)
        kind = self.kind_of(answer)
        asked = self._asked(query, self._interpreted(query, history), top_k, filters, explain, started)
        if self.model and kind == "generated":
            from qa.llm.generate import Writing, generated

            yield from generated(asked, Writing(self.model, self.config.llm.passages, history, stop))
        else:
            yield from quoted(asked)

    def kind_of(self, wanted: AnswerKind | None) -> AnswerKind:
        """The kind of answer that is given to who wants this one, None for whichever there is.

        Raises:
            QueryError: it is generated, and no language model is configured.
        """
        if wanted == "generated" and self.model is None:
            raise QueryError("answer: no language model is configured; set llm.model, or ask for an extractive answer")
        return wanted or ("generated" if self.model else "extractive")

    def _interpreted(self, query: str, history: Sequence[Turn]) -> str:
        asked = interpret(query, history, self.encoder.encode_documents) if history else query
        return asked if len(asked) <= MAX_QUERY_CHARS else query

    def _asked(
        self, query: str, interpreted: str, top_k: int, filters: Filters | None, explain: bool, started: float
    ) -> QueryContext:
        store = self.store
        question = self._question(interpreted, store)
        return QueryContext(
            id=uuid.uuid4().hex,
            query=query,
            interpreted=interpreted,
            question=question,
            passages=self._read(question, store, top_k, filters),
            store=store,
            encoder=self.encoder,
            base=self._base,
            public_url=self.config.server.public_url or "",
            top_k=top_k,
            explain=explain,
            started=started,
        )

    def _question(self, text: str, store: Store) -> Question:
        return Question.of(text, store.segmenter, self._synonyms)

    def _read(self, question: Question, store: Store, top_k: int, filters: Filters | None) -> ReadPassages:
        retrieved = retrieve(
            store,
            self.encoder,
            question.query,
            question.names,
            question.places,
            top_k=max(top_k, _SEARCH_POOL),
            filters=filters or Filters(),
        )
        return rank_passages(question, retrieved, self.reranker)

    def why_not(self, document: str, query: str) -> WhyNotResponse:
        """Why a document (an id, path or file name) is not the first one for `query`.

        Raises:
            QueryError: the query is empty or too long.
            DocumentNotFoundError: there is no such document; the message lists the nearest.
        """
        check(query, 1)
        store = self.store
        question = self._question(query, store)
        wanted = find_document(document, store, self._base)
        return why_not(question, wanted, self._read(question, store, 1, None), store, self.encoder)

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]:
        """Documents by id, those after the id `after` and with `containing` in their title or path."""
        return self.store.documents(limit, after, containing)

    def document_info(self, document_id: str) -> DocumentInfo:
        """A document without its text; raises DocumentNotFoundError."""
        return self.store.document_info(document_id) or not_found(document_id)

    def document(self, document_id: str) -> Document:
        """A document with the text that all offsets refer to; raises DocumentNotFoundError."""
        return self.store.document(document_id) or not_found(document_id)


def not_found(document_id: str) -> NoReturn:
    """Raise DocumentNotFoundError for an id."""
    raise DocumentNotFoundError(f"no document has the id {document_id!r}; list them with GET /v1/documents")


def _model(config: Config) -> LanguageModel | None:
    if not config.llm.model:
        return None
    # Whoever has no language model need not wait for what it takes to use one.
    from qa.llm.model import LanguageModel

    return LanguageModel(config.llm)


def check(query: str, top_k: int, history: Sequence[Turn] = ()) -> None:
    """Raise QueryError when a question, `top_k` or what was asked before is not acceptable; nothing else is read."""
    _check_text("query", query, MAX_QUERY_CHARS)
    if not query.strip():
        raise QueryError("query: is empty; ask a question")
    if not 1 <= top_k <= MAX_TOP_K:
        raise QueryError(f"top_k: must be from 1 to {MAX_TOP_K}, not {top_k}")
    if len(history) > MAX_TURNS:
        raise QueryError(f"history: has {len(history)} turns; at most {MAX_TURNS} are accepted, leave out the oldest")
    for number, turn in enumerate(history):
        _check_text(f"history.{number}.question", turn.question, MAX_QUERY_CHARS)
        _check_text(f"history.{number}.answer", turn.answer, MAX_ANSWER_CHARS)


def _check_text(field: str, text: str, max_chars: int) -> None:
    if len(text) > max_chars:
        raise QueryError(f"{field}: has {len(text)} characters; at most {max_chars} are accepted")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise QueryError(f"{field}: holds half of a surrogate pair or bytes that are not UTF-8; send whole characters")


def _workers(ray: str | None) -> MakeWorkers:
    """What does the work of indexing: processes here, or the Ray cluster at an address."""
    if ray is None:
        return Workers
    from index.indexing.ray import RayWorkers

    return partial(RayWorkers, address=ray)
