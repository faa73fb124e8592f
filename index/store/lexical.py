"""tantivy: BM25 over our own tokens, derived from the database.

Two of these serve a store: one over passages, one over whole articles. tantivy is given text that is already cut into
tokens, so that it matches exactly what `index.text.tokens` says.
"""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import tantivy

from index.store import AnyOf, Terms

# Taken as it is filled, which 140,000 passages do. Smaller segments are merged, and each costs every question a little.
_WRITER_HEAP_BYTES = 128 << 20
_ANALYZER = "tokens"
_BATCH = 1000


class Entry(NamedTuple):
    """What is indexed of a passage or an article; `tokens` with spaces between them.

    A tuple, as those go to another process in half the time.
    """

    row: int
    document_row: int
    tokens: str


class Change:
    """Entries on their way into an index."""

    def __init__(self, writer: tantivy.IndexWriter, rows: Callable[[list[int]], tantivy.Query], may_hold: bool) -> None:
        self._writer = writer
        self._rows = rows
        self._may_hold = may_hold
        self._waiting: list[Entry] = []

    def add(self, entry: Entry) -> None:
        self._waiting.append(entry)
        if len(self._waiting) == _BATCH:
            self.flush()

    def remove(self, rows: Sequence[int]) -> None:
        if rows and self._may_hold:
            self._writer.delete_documents_by_query(self._rows(list(rows)))

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
        self._folder = folder
        self._stamp = folder / "generation.json"
        if folder.is_dir() and not os.access(folder, os.W_OK):
            folder = self._mirrored(folder)
        folder.mkdir(parents=True, exist_ok=True)
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
        except (ValueError, OSError, KeyError, RuntimeError) as exc:
            raise ValueError(f"{folder}: {exc}") from exc

    def _mirrored(self, folder: Path) -> Path:
        """A folder of links to the files: tantivy makes a lock file beside what it reads, and the disk forbids it."""
        mirror = Path(mkdtemp(prefix="cited-qa-"))
        weakref.finalize(self, shutil.rmtree, mirror, ignore_errors=True)
        for file in folder.iterdir():
            if file.suffix != ".lock":
                os.symlink(file.resolve(), mirror / file.name)
        return mirror

    def _read_stamp(self) -> int:
        if not self._stamp.exists():
            return 0
        return int(json.loads(self._stamp.read_text())["generation"])

    @classmethod
    def reset(cls, folder: Path) -> LexicalIndex:
        """Throw the files away and start empty."""
        shutil.rmtree(folder, ignore_errors=True)
        return cls(folder)

    def reload(self) -> None:
        """See what was committed last."""
        self._index.reload()
        self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    @contextmanager
    def changing(self, removed: Sequence[int], generation: int) -> Iterator[Change]:
        """Remove rows, and add what the block adds; stamped when it ends. Doing it again changes nothing.

        An error in the block leaves the index as it was.
        """
        writer = self._index.writer(heap_size=_WRITER_HEAP_BYTES, num_threads=1)
        # Not delete_documents_by_term: in tantivy-py 0.27 it silently matches nothing in an unsigned field.
        change = Change(writer, lambda rows: tantivy.Query.term_set_query(self._schema, "row", rows), self._may_hold)
        change.remove(removed)
        yield change
        change.flush()
        writer.commit()
        writer.wait_merging_threads()
        self.reload()
        fresh = self._stamp.with_suffix(".new")
        fresh.write_text(json.dumps({"generation": generation}))
        os.replace(fresh, self._stamp)
        self.generation = generation

    @property
    def _may_hold(self) -> bool:
        """Whether rows may be in the index already."""
        return bool(self.generation or len(self))

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
        found = [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True)]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def _query(self, terms: Terms) -> tantivy.Query:
        clauses = []
        for term in terms:
            if isinstance(term, AnyOf):
                clause = tantivy.Query.disjunction_max_query([self._query(way) for way in term.ways])
            else:
                token, weight = term
                found = tantivy.Query.term_query(self._schema, "tokens", token, "freq")
                clause = tantivy.Query.boost_query(found, weight)
            clauses.append((tantivy.Occur.Should, clause))
        return tantivy.Query.boolean_query(clauses)

    def document_frequency(self, token: str) -> int:
        """In how many entries the token stands."""
        # tantivy counts removed entries until it merges their segments away.
        return min(int(self._searcher.doc_freq("tokens", token)), len(self))


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", stored=False, indexed=True, fast=True)
    builder.add_unsigned_field("document", stored=False, indexed=True, fast=True)
    builder.add_text_field("tokens", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    return builder.build()
