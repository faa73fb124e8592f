"""What the documents hold at a glance: questions that they answer, and a map of them by meaning.

Both are made when they are first asked for and kept for as long as the index stays the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from index.errors import QueryError
from index.store import Store
from index.types import DocumentInfo, Passage
from qa.engine import Engine
from qa.exploring.layout import Layout, Positions, lay_out, means
from qa.exploring.suggest import Suggestion, suggest
from qa.schemas import AskResponse

MAX_POINTS = 4000
# With more documents than these, each is one point; otherwise each passage is.
_MAX_OPENED = 200
# A passage's vectors are some kilobytes.
_MAX_SENT = 20_000
# Documents are looked at in the order of their ids, which are hashes: these are a fair sample.
_SAMPLED = 40
_SAMPLED_PASSAGES = 120


@dataclass(frozen=True, slots=True)
class Dot:
    """A text on the map: a whole document, or one passage of it. `x` and `y` are within -1 to 1."""

    x: float
    y: float
    document: int
    passage: Passage | None


@dataclass(frozen=True, slots=True)
class Picture:
    """The map: `total` texts, of which `dots` are shown; a dot's `document` is a place in `documents`."""

    generation: int
    documents: list[DocumentInfo]
    dots: list[Dot]
    total: int


@dataclass(frozen=True, slots=True)
class _Base:
    """What does not depend on the question: the layout and the texts that are always shown."""

    generation: int
    layout: Layout
    documents: list[DocumentInfo]
    opened: bool
    rows: list[tuple[int, tuple[int, ...]]]
    positions: Positions
    total: int


class Overview:
    """Keeps what was made for one generation of an engine's index; for many threads."""

    def __init__(self) -> None:
        self._making_map = threading.Lock()
        self._making_questions = threading.Lock()
        self._base: _Base | None = None
        self._questions: tuple[int, list[Suggestion]] | None = None

    def questions(self, engine: Engine) -> list[Suggestion]:
        """Questions that the documents answer; see `qa.exploring.suggest`."""
        store = engine.store
        with self._making_questions:
            if self._questions is None or self._questions[0] != store.generation:
                self._questions = (store.generation, suggest(_opened(store), lambda text: _ask(engine, text)))
            return self._questions[1]

    def picture(self, engine: Engine, passage_ids: Sequence[str] = ()) -> Picture:
        """The map, with these passages on it in any case: they, or their documents where those are the dots.

        Raises:
            QueryError: a server that is far away would have to send too much for it.
        """
        store = engine.store
        if engine.config.store != "local" and store.counts()[1] > _MAX_SENT:
            raise QueryError(
                f"the map is not drawn of more than {_MAX_SENT:,} passages that a server keeps; filter or ask instead"
            )
        with self._making_map:
            if self._base is None or self._base.generation != store.generation:
                self._base = _base(store)
        return _picture(self._base, store, passage_ids)


def _ask(engine: Engine, text: str) -> AskResponse:
    # Not by way of an engine that is watched: nobody asked this, so it is not to be counted or logged.
    *_, response = Engine.stream(engine, text, top_k=1, answer="extractive")
    assert isinstance(response, AskResponse)
    return response


def _opened(store: Store) -> Iterator[list[Passage]]:
    for info in store.documents(_SAMPLED):
        rows = store.passage_rows_of([info.id]).get(info.id, [])[:_SAMPLED_PASSAGES]
        yield list(store.passages(rows).values())


def _base(store: Store) -> _Base:
    count, passages = store.counts()
    documents = store.documents(MAX_POINTS)
    rows = store.passage_rows_of([info.id for info in documents])
    is_opened = count <= _MAX_OPENED
    step = -(-passages // MAX_POINTS) or 1
    groups = [
        (number, group)
        for number, info in enumerate(documents)
        for group in _groups(rows.get(info.id, []), is_opened, step)
    ]
    vectors = means([group for _, group in groups], store)
    layout = lay_out(vectors)
    total = passages if is_opened else count
    return _Base(store.generation, layout, documents, is_opened, groups, layout.place(vectors), total)


def _groups(rows: Sequence[int], is_opened: bool, step: int) -> list[tuple[int, ...]]:
    if is_opened:
        return [(row,) for row in rows[::step]]
    return [tuple(rows)] if rows else []


def _picture(base: _Base, store: Store, passage_ids: Sequence[str]) -> Picture:
    documents, groups, positions = base.documents, base.rows, base.positions
    if added := list(_added(base, store, passage_ids)):
        numbers = {info.id: number for number, info in enumerate(documents)}
        documents = documents + [info for info, _ in added if info.id not in numbers]
        numbers = {info.id: number for number, info in enumerate(documents)}
        groups = groups + [(numbers[info.id], group) for info, group in added]
        positions = np.concatenate([positions, base.layout.place(means([group for _, group in added], store))])
    shown = store.passages([row for _, group in groups for row in group]) if base.opened else {}
    dots = [
        Dot(round(float(x), 4), round(float(y), 4), number, shown[group[0]] if base.opened else None)
        for (number, group), (x, y) in zip(groups, positions, strict=True)
        if not base.opened or group[0] in shown
    ]
    return Picture(base.generation, documents, dots, base.total)


def _added(base: _Base, store: Store, passage_ids: Sequence[str]) -> Iterator[tuple[DocumentInfo, tuple[int, ...]]]:
    """What must be on the map and is not among what is always shown."""
    known = {group for _, group in base.rows}
    for document_id in dict.fromkeys(passage_id.rpartition("-")[0] for passage_id in passage_ids):
        info = store.document_info(document_id)
        rows = store.passage_rows_of([document_id]).get(document_id, [])
        if info is None or not rows:
            continue
        for group in _wanted(document_id, rows, passage_ids) if base.opened else [tuple(rows)]:
            if group not in known:
                yield info, group


def _wanted(document_id: str, rows: Sequence[int], passage_ids: Sequence[str]) -> Iterator[tuple[int, ...]]:
    for passage_id in dict.fromkeys(passage_ids):
        owner, _, number = passage_id.rpartition("-")
        if owner == document_id and number.isdecimal() and 0 < int(number) <= len(rows):
            yield (rows[int(number) - 1],)
