"""Documents on their way to a server, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from index.chunking.passages import clean
from index.dedup.sketches import Sketch, keys, shared, sketches
from index.store.codes import decode
from index.store.milvus.connection import Row, among
from index.store.milvus.reading import Tables
from index.store.milvus.rows import (
    NOTHING,
    Chunks,
    Sparse,
    codes_text,
    document_row,
    moved,
    passage_data,
    sketch_vector,
    visible_of,
    weigh,
)
from index.store.terms import article_words
from index.text.segmenter import Segmenter
from index.types import Document, PassageText, Section, Skipped, Units


class DocumentBatch:
    """Rows by collection, with the ids that `take` gives: so many in a row, none of them ever given before.

    Words are kept as tokens until `weigh`, since what they weigh depends on how long others are.
    """

    def __init__(self, take: Callable[[int], int], segmenter: Segmenter, generation: int, dim: int) -> None:
        self._take = take
        self._segmenter = segmenter
        self._generation = generation
        self._dim = dim
        self.documents: dict[int, Row] = {}
        self.pieces: list[Row] = []
        self.articles: list[Row] = []
        self.passages: list[Row] = []
        self.units: list[Row] = []
        self.visible: dict[int, str] = {}
        self.removed: set[str] = set()
        self.settled: dict[str, Row] = {}
        self.skipped: dict[str, Sequence[Skipped]] = {}
        self._tokens: dict[int, list[str]] = {}

    @property
    def first(self) -> int:
        """The lowest id of a document whose rows are in it; 0 when there is none."""
        return min(
            (row for row, record in self.documents.items() if record["generation"] == self._generation), default=0
        )

    def add(self, document: Document, sections: Sequence[Section], units: Sequence[Units]) -> int:
        """Take in a document; its row is returned."""
        row = self._take(1)
        record, pieces = document_row(document, row, self._generation)
        self.documents[row] = record
        self.pieces += pieces
        numbers = list(dict.fromkeys(section.article for section in sections))
        first_article = self._take(len(numbers))
        articles = {number: first_article + place for place, number in enumerate(numbers)}
        first = self._take(len(sections))
        for place, (section, unit) in enumerate(zip(sections, units, strict=True)):
            self._add_passage(document, row, first + place, place + 1, articles[section.article], section, unit)
        self._add_words(record, document, sections, articles, first)
        record["passages"], record["articles"] = len(sections), len(numbers)
        record["units"] = sum(len(unit.spans) for unit in units)
        return row

    def copy(self, record: Row, rows: dict[str, list[Row]], place: Row) -> None:
        """Take in a stored document with its rows at another place: its id, file, collection and path."""
        row = self._take(1)
        pieces = Chunks(row, row)
        self.documents[row] = (
            record
            | place
            | {
                "row": row,
                "generation": self._generation,
                "data": pieces.put(record["data"]),
                "text": pieces.put(record["text"], apart=True),
            }
        )
        self.pieces += pieces.rows
        own = {"document": row, "generation": self._generation, "collection": place["collection"]}
        articles, passages = self._renumbered(rows["articles"]), self._renumbered(rows["passages"])
        self.articles += [stored | own | {"row": articles[stored["row"]]} for stored in rows["articles"]]
        units = self._renumbered(rows["units"])
        self.units += [
            stored | own | {"row": units[stored["row"]], "passage": passages[stored["passage"]]}
            for stored in rows["units"]
        ]
        for stored in sorted(rows["passages"], key=lambda stored: int(stored["row"])):
            pieces = Chunks(passages[stored["row"]], row)
            data = pieces.put(moved(stored["data"], place["id"], place["path"]))
            self.passages.append(
                stored
                | own
                | {
                    "row": passages[stored["row"]],
                    "article": articles[stored["article"]],
                    "data": data,
                    "vectors": pieces.put(stored["vectors"]),
                }
            )
            self.pieces += pieces.rows
            self.visible[passages[stored["row"]]] = visible_of(self.passages[-1] | {"data": stored["data"]})

    def _renumbered(self, rows: Sequence[Row]) -> dict[int, int]:
        """New ids for rows, in their order."""
        first = self._take(len(rows))
        return {row: first + place for place, row in enumerate(sorted(row["row"] for row in rows))}

    def remove(self, document_id: str) -> None:
        """Let a document go: that of the batch, and later, with `meet`, that which is stored."""
        self.removed.add(document_id)
        for record in self.documents.values():
            if record["id"] == document_id and not record["gone"]:
                record["gone"] = self._generation

    def settle(self, file: str, status: Row) -> None:
        """Give the documents of a file, here and stored, its size and times."""
        self.settled[file] = status
        for record in self.documents.values():
            if record["file"] == file and not record["gone"]:
                record |= status

    def meet(self, record: Row) -> None:
        """Take in the stored record of a document that was removed or settled."""
        known = self.documents.setdefault(record["row"], record)
        if known["id"] in self.removed:
            known["gone"] = self._generation
        elif known["file"] in self.settled:
            known |= self.settled[known["file"]]

    def _add_passage(
        self, document: Document, row: int, passage: int, number: int, article: int, section: Section, unit: Units
    ) -> None:
        place = {"document": row, "generation": self._generation, "collection": document.collection}
        pieces = Chunks(passage, row)
        self.passages.append(
            {
                "row": passage,
                **place,
                "article": article,
                "number": number,
                "leader": passage,
                "grams": 0,
                "data": pieces.put(passage_data(document, section, unit)),
                "vectors": pieces.put(codes_text(unit.codes)),
            }
        )
        self.pieces += pieces.rows
        vectors = decode(unit.codes, self._dim)
        first = self._take(len(vectors))
        self.units += [
            {"row": first + count, **place, "passage": passage, "vector": vector}
            for count, vector in enumerate(vectors)
        ]

    def _add_words(
        self, record: Row, document: Document, sections: Sequence[Section], articles: dict[int, int], first: int
    ) -> None:
        texts = [
            PassageText(
                first + place,
                record["row"],
                articles[section.article],
                section.title,
                section.heading_path,
                section.context,
                document.text[section.start : section.end],
                section.start,
                section.hidden,
            )
            for place, section in enumerate(sections)
        ]
        self.visible |= {text.row: clean(text.text, text.start, text.hidden) for text in texts}
        # An article's passages stand together.
        groups = [list(own) for _, own in groupby(texts, key=lambda text: text.article)]
        for entries, whole in article_words(groups, self._segmenter):
            for entry in entries:
                self._tokens[entry.row] = entry.tokens.split()
                record["passage_tokens"] += len(self._tokens[entry.row])
            self._tokens[whole.row] = whole.tokens.split()
            record["article_tokens"] += len(self._tokens[whole.row])
            self.articles.append(
                {
                    "row": whole.row,
                    "document": record["row"],
                    "generation": self._generation,
                    "collection": document.collection,
                }
            )

    def averages(self) -> tuple[float, float]:
        """The tokens of a passage and of an article, on average."""
        return _mean(self._tokens, self.passages), _mean(self._tokens, self.articles)

    def weigh(self, averages: tuple[float, float]) -> None:
        """Give passages and articles their words, beside others of so many tokens."""
        for rows, average in zip((self.passages, self.articles), averages, strict=True):
            for row in rows:
                if row["row"] in self._tokens:  # what was moved has its own
                    row["words"] = weigh(self._tokens[row["row"]], average)

    def words(self) -> tuple[list[Sparse], list[Sparse]]:
        """The words of passages and of articles."""
        return [row["words"] for row in self.passages], [row["words"] for row in self.articles]


def _mean(tokens: dict[int, list[str]], rows: Iterable[Row]) -> float:
    lengths = [len(tokens[row["row"]]) for row in rows if row["row"] in tokens]
    return sum(lengths) / len(lengths) if lengths else 0.0


# So many of those that share most keys with a passage are compared with it.
_COMPARED = 20
_ASKED = 500


@dataclass(frozen=True, slots=True)
class _Group:
    """A cluster as its passage with keys shows it."""

    leader: int
    sketch: Sketch


def assign_leaders(tables: Tables, passages: Sequence[Row], visible: Mapping[int, str]) -> None:
    """Give new passages their leaders, and keys to those that lead, in place. `visible` is their text for matching.

    Passages that say the same have one leader, which is a name for them and no more. Of each such cluster one passage
    holds the keys of its sketch, as a sparse vector, so that the server finds for a new passage those that share most
    keys with it; the sketches then decide, as in `index.dedup.clusters`.
    """
    sketched = dict(zip(visible, sketches(list(visible.values())), strict=True))
    # Long passages first: their pieces then find them.
    order = sorted(
        (row for row in passages if row["row"] in sketched), key=lambda row: -len(sketched[row["row"]].grams)
    )
    matrix = _keys_of([visible[row["row"]] for row in order])
    stored = _stored(tables, matrix)
    fresh: dict[int, list[_Group]] = {}
    for row, own_keys, known in zip(order, matrix, stored, strict=True):
        own = sketched[row["row"]]
        groups = [*known, *_sharing(fresh, own_keys)]
        common = {group.leader: shared(own, group.sketch) for group in groups}
        leader = max(common, key=lambda leader: (common[leader], -leader), default=0)
        row["grams"], row["sketch"] = 0, dict(NOTHING)
        if leader and common[leader]:
            row["leader"] = leader
            continue
        row["leader"], row["grams"], row["sketch"] = row["row"], len(own.grams), sketch_vector(own_keys)
        group = _Group(row["row"], own)
        for key in set(own_keys):
            fresh.setdefault(key, []).append(group)


def _sharing(fresh: Mapping[int, list[_Group]], own_keys: Sequence[int]) -> list[_Group]:
    """The clusters of this batch that share most keys with a passage."""
    counts: dict[int, int] = {}
    groups: dict[int, _Group] = {}
    for key in set(own_keys):
        for group in fresh.get(key, ()):
            counts[group.leader] = counts.get(group.leader, 0) + 1
            groups[group.leader] = group
    return [groups[leader] for leader in sorted(counts, key=lambda leader: -counts[leader])[:_COMPARED]]


def _stored(tables: Tables, matrix: Sequence[Sequence[int]]) -> list[list[_Group]]:
    """For each passage, by its keys, the stored clusters that share most of them with it."""
    known: list[list[Row]] = []
    for start in range(0, len(matrix), _ASKED):
        asked = [sketch_vector(own) for own in matrix[start : start + _ASKED]]
        hits = tables["passages"].search("sketch", asked, _COMPARED, "grams > 0", ["row", "leader"])
        known += [[row for row, score in own if score] for own in hits]
    wanted = {row["row"] for rows in known for row in rows}
    texts = _texts_of(tables, wanted)
    sketched = dict(zip(texts, sketches(list(texts.values())), strict=True))
    return [[_Group(row["leader"], sketched[row["row"]]) for row in rows if row["row"] in sketched] for rows in known]


def _keys_of(texts: Sequence[str]) -> list[list[int]]:
    """The keys of each text, that of the whole among them: equal texts share it."""
    hashed = keys(texts)
    keyed = [[whole >> 32] for whole in hashed.whole.tolist()]
    for value, place in zip(hashed.values.tolist(), hashed.texts.tolist(), strict=True):
        keyed[place].append(value)
    return keyed


def _texts_of(tables: Tables, rows: Iterable[int]) -> dict[int, str]:
    """What matching sees of stored passages."""
    fields = ["row", "number", "article", "collection", "data"]
    passages = tables["passages"].get("row", rows, fields)
    tables.wholes(passages, "data")
    return {row["row"]: visible_of(row) for row in passages}


def hand_on(tables: Tables, documents: Sequence[int]) -> None:
    """Give the keys of passages whose documents are about to be deleted to others of their clusters."""
    gone = [
        row["leader"]
        for listed in among("document", documents)
        for row in tables["passages"].read_all(f"{listed} and grams > 0", ["row", "leader"])
    ]
    heirs: dict[int, int] = {}
    going = set(documents)
    for listed in among("leader", gone):
        for row in tables["passages"].read_all(f"{listed} and grams == 0", ["row", "leader", "document"]):
            if row["document"] not in going:
                heirs[row["leader"]] = min(row["row"], heirs.get(row["leader"], row["row"]))
    if not heirs:
        return
    rows = tables["passages"].get("row", heirs.values())
    texts = _texts_of(tables, heirs.values())
    visible = [texts[row["row"]] for row in rows]
    for row, own, own_keys in zip(rows, sketches(visible), _keys_of(visible), strict=True):
        row["grams"], row["sketch"] = len(own.grams), sketch_vector(own_keys)
    tables["passages"].write(rows, replace=True)
