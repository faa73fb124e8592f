"""tantivy: BM25 over our own tokens, derived from the database.

Two of these serve a store: one over passages, one over whole articles. tantivy is given text that is already cut into
tokens, so that it matches exactly what `index.text.tokens` says.

tantivy counts removed entries in its statistics until it merges their segments, which it can't be asked to do. So what
a token is worth is put right in each query, from how many entries that are there hold it; and once so many entries were
removed that the average length could be off by more than a little, all are indexed anew.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import tantivy

from index.errors import IndexDamagedError
from index.store.records import Records
from index.store.terms import AnyOf, CutArticles, LexicalEntry, Terms, inverse_frequency
from index.text.segmenter import Segmenter
from index.types import Progress

# Taken as it is filled, which 140,000 passages do. Smaller segments are merged, and each costs every question a little.
_WRITER_HEAP_BYTES = 128 << 20
_ANALYZER = "tokens"
_BATCH = 1000
_CACHED_TOKENS = 1 << 14
# So large may the removed entries' share of the others be. Were they half as long again as others, average
# lengths would be off by 1 %, and scores by less than half of that.
_REMOVED_SHARE = 0.02
# So few take a tenth of a second, and each document is much of them.
_FEW = 1000
_RELOADS = 3

logger = logging.getLogger(__name__)


class EntryWriter:
    """Entries on their way into an index; those with rows that it holds take their place."""

    def __init__(self, writer: tantivy.IndexWriter, schema: tantivy.Schema, may_hold: bool) -> None:
        self._writer = writer
        self._schema = schema
        self._may_hold = may_hold
        self._waiting: list[LexicalEntry] = []

    def add(self, entry: LexicalEntry) -> None:
        self._waiting.append(entry)
        if len(self._waiting) == _BATCH:
            self.flush()

    def remove(self, rows: Sequence[int]) -> None:
        if rows and self._may_hold:
            # Not delete_documents_by_term: in tantivy-py 0.27 it silently matches nothing in an unsigned field.
            self._writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, "row", list(rows)))

    def flush(self) -> None:
        """Give the writer what waits."""
        self.remove([entry.row for entry in self._waiting])
        for entry in self._waiting:
            document = tantivy.Document()
            document.add_unsigned("row", entry.row)
            document.add_unsigned("document", entry.document_row)
            document.add_text("tokens", entry.tokens)
            self._writer.add_document(document)
        self._waiting.clear()


class LexicalIndex:
    """One tantivy index on disk and the generation it holds."""

    def __init__(self, folder: Path) -> None:
        """Open the index in `folder`, or make an empty one.

        Raises:
            ValueError: the files are damaged; `reset` and derive them again.
        """
        self._stamp = folder / "generation.json"
        if folder.is_dir() and not os.access(folder, os.W_OK):
            folder = self._mirrored(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._schema = _schema()
        if self._stamp.exists() and not (folder / "meta.json").exists():
            # tantivy would make an empty index here, and the stamp would vouch for it.
            raise ValueError(f"{folder}: meta.json is missing")
        try:
            self._index = tantivy.Index(self._schema, str(folder), reuse=True)
            self._index.register_tokenizer(
                _ANALYZER, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
            )
            self._index.config_reader(reload_policy="manual")
            self.generation = self._read_stamp()
            self.reload()
        except (ValueError, OSError, KeyError, TypeError, RuntimeError) as exc:
            raise ValueError(f"{folder}: {exc}") from exc

    def _mirrored(self, folder: Path) -> Path:
        """A folder of links to the files: tantivy makes a lock file beside what it reads, and the disk forbids it."""
        mirror = Path(mkdtemp(prefix="cited-qa-"))
        weakref.finalize(self, shutil.rmtree, mirror, ignore_errors=True)
        for file in folder.iterdir():
            if file.suffix != ".lock":
                os.symlink(file.resolve(), mirror / file.name)
        return mirror

    @classmethod
    def reset(cls, folder: Path) -> LexicalIndex:
        """Throw the files away and start empty."""
        shutil.rmtree(folder, ignore_errors=True)
        return cls(folder)

    def _read_stamp(self) -> int:
        if not self._stamp.exists():
            return 0
        return int(json.loads(self._stamp.read_text())["generation"])

    def reload(self) -> None:
        """See what was committed last."""
        for _ in range(_RELOADS):
            self._index.reload()
            self._searcher = self._index.searcher()
            segments = json.loads((self._folder / "meta.json").read_text())["segments"]
            self._reckoned = sum(segment["max_doc"] for segment in segments)
            self.removed = sum((segment["deletes"] or {}).get("num_deleted_docs", 0) for segment in segments)
            if self._reckoned - self.removed == len(self):  # else a writer committed in between
                break
        self.document_frequency = lru_cache(_CACHED_TOKENS)(self._document_frequency)

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    @contextmanager
    def changing(self, removed: Sequence[int], generation: int, *, anew: bool = False) -> Iterator[EntryWriter]:
        """Remove rows, and add what the block adds; stamped when it ends. Doing it again changes nothing.

        With `anew` all goes, and the block adds all there is; readers see the one or the other. An error in the block
        leaves the index as it was.
        """
        writer = self._index.writer(heap_size=_WRITER_HEAP_BYTES, num_threads=1)
        entries = EntryWriter(writer, self._schema, may_hold=not anew)
        if anew:
            writer.delete_all_documents()
        entries.remove(removed)
        yield entries
        entries.flush()
        writer.commit()
        writer.wait_merging_threads()
        self.reload()
        fresh = self._stamp.with_suffix(".new")
        fresh.write_text(json.dumps({"generation": generation}))
        os.replace(fresh, self._stamp)
        self.generation = generation

    def search(self, terms: Terms, limit: int, documents: list[int] | None = None) -> list[tuple[int, float]]:
        """Row ids with their BM25 score, highest first. `documents` limits to rows."""
        if not terms or limit < 1 or documents == [] or not len(self):
            return []
        query = self._query(terms)
        if documents is not None:
            admitted = tantivy.Query.const_score_query(
                tantivy.Query.term_set_query(self._schema, "document", documents), 0.0
            )
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, admitted)])
        hits = self._searcher.search(query, limit, count=False).hits
        rows: list[Any] = self._searcher.fast_field_values("row", [address for _, address in hits])
        scored = [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True)]
        return sorted(scored, key=lambda item: (-item[1], item[0]))

    def _query(self, terms: Terms) -> tantivy.Query:
        clauses = []
        for term in terms:
            if isinstance(term, AnyOf):
                clause = tantivy.Query.disjunction_max_query([self._query(way) for way in term.ways])
            else:
                token, weight = term
                clause = tantivy.Query.boost_query(self._holding(token), weight * self._put_right(token))
            clauses.append((tantivy.Occur.Should, clause))
        return tantivy.Query.boolean_query(clauses)

    def _holding(self, token: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, "tokens", token, "freq")

    def _put_right(self, token: str) -> float:
        """What a token is worth among the entries that are there, as a share of what tantivy makes of it."""
        if not self.removed:
            return 1.0
        reckoned = inverse_frequency(int(self._searcher.doc_freq("tokens", token)), self._reckoned)
        return inverse_frequency(self.document_frequency(token), len(self)) / reckoned

    def _document_frequency(self, token: str) -> int:
        """In how many entries the token stands."""
        if not self.removed:
            return int(self._searcher.doc_freq("tokens", token))
        return int(self._searcher.search(self._holding(token), 1, count=True).count)  # type: ignore[attr-defined]


class LexicalPair:
    """The lexical indexes of an index: `passages`, and `articles` as a prior for the passages in them."""

    def __init__(self, passages: LexicalIndex, articles: LexicalIndex) -> None:
        self.passages = passages
        self.articles = articles

    @classmethod
    def load(cls, folder: Path, segmenter: Segmenter, newest: int) -> LexicalPair:
        """Those in `folder`, for reading, where the database is at generation `newest`.

        Raises:
            IndexDamagedError: they can't be read.
        """
        try:
            return cls(*(_opened(path, newest) for path in folders_of(folder, segmenter)))
        except ValueError as exc:
            raise IndexDamagedError(f"{exc}; run: qa index") from exc

    @classmethod
    def to_change(cls, folder: Path, segmenter: Segmenter, newest: int) -> LexicalPair:
        """Those in `folder`; what can't be read is emptied."""
        return cls(*(_opened_or_emptied(path, newest) for path in folders_of(folder, segmenter)))

    @property
    def generation(self) -> int:
        return min(self.passages.generation, self.articles.generation)

    def update(self, database: Records, target: int, cut: CutArticles, progress: Progress) -> None:
        """Bring both to generation `target` of the database in one pass over what came since, or over all."""
        since, done = self.generation, 0
        if since == target:
            return
        gone = database.removed_since("passages", since), database.removed_since("articles", since)
        if anew := since == 0 or self._loses_much(*map(len, gone)):
            since, gone = 0, ([], [])
        total = database.passages_since(since)
        texts = (list(own) for _, own in groupby(database.texts_since(since), key=lambda text: text.article))
        with (
            self.passages.changing(gone[0], target, anew=anew) as passages,
            self.articles.changing(gone[1], target, anew=anew) as articles,
        ):
            for own, whole in cut(texts):
                for entry in own:
                    passages.add(entry)
                articles.add(whole)
                done += len(own)
                progress("words", done, total)

    def _loses_much(self, passages: int, articles: int) -> bool:
        """Whether tantivy would count so many removed entries, with so many more, that all should be indexed anew."""
        share = _REMOVED_SHARE if len(self.passages) > _FEW else 0.0
        counts = ((self.passages, passages), (self.articles, articles))
        return any(index.removed + more > share * len(index) for index, more in counts)


def folders_of(folder: Path, segmenter: Segmenter) -> list[Path]:
    """Where passages and articles are indexed.

    Another segmenter has other folders, so that readers go on with theirs until these are complete.
    """
    return [folder / f"{kind}-{segmenter.fingerprint}" for kind in ("passages", "articles")]


def _opened(folder: Path, newest: int) -> LexicalIndex:
    index = LexicalIndex(folder)
    if index.generation > newest:
        raise ValueError(f"{folder}: is ahead of the database")
    return index


def _opened_or_emptied(folder: Path, newest: int) -> LexicalIndex:
    try:
        return _opened(folder, newest)
    except ValueError as exc:
        logger.warning("%s; deriving the lexical index again from the database", exc)
        return LexicalIndex.reset(folder)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", stored=False, indexed=True, fast=True)
    builder.add_unsigned_field("document", stored=False, indexed=True, fast=True)
    builder.add_text_field("tokens", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    return builder.build()
