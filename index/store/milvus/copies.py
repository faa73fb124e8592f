"""Which passages are copies of which, told as they are written.

Passages that say the same have one `leader`, which is a name for them and no more. Of each such cluster one passage
holds the keys of its sketch, as a sparse vector, so that the server finds for a new passage those that share most keys
with it; the sketches then decide, as in `index.dedup.clusters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from index.dedup.duplicates import Sketch, keys, shared, sketches
from index.store.milvus.codes import NOTHING, sketch_vector
from index.store.milvus.connection import Row, among
from index.store.milvus.reading import Tables
from index.store.milvus.rows import visible_of

# So many of those that share most keys with a passage are compared with it.
_COMPARED = 20
_ASKED = 500


@dataclass(frozen=True, slots=True)
class _Group:
    """A cluster as its passage with keys shows it."""

    leader: int
    sketch: Sketch


def assign_leaders(tables: Tables, passages: Sequence[Row], visible: Mapping[int, str]) -> None:
    """Give new passages their leaders, and keys to those that lead, in place. `visible` is their text for matching."""
    made = dict(zip(visible, sketches(list(visible.values())), strict=True))
    # Long passages first: their pieces then find them.
    order = sorted((row for row in passages if row["row"] in made), key=lambda row: -len(made[row["row"]].grams))
    matrix = _keys_of([visible[row["row"]] for row in order])
    stored = _stored(tables, matrix)
    fresh: dict[int, list[_Group]] = {}
    for row, own_keys, known in zip(order, matrix, stored, strict=True):
        own = made[row["row"]]
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
    found: list[list[Row]] = []
    for start in range(0, len(matrix), _ASKED):
        asked = [sketch_vector(own) for own in matrix[start : start + _ASKED]]
        hits = tables["passages"].search("sketch", asked, _COMPARED, "grams > 0", ["row", "leader"])
        found += [[row for row, score in own if score] for own in hits]
    wanted = {row["row"] for rows in found for row in rows}
    texts = _texts_of(tables, wanted)
    made = dict(zip(texts, sketches(list(texts.values())), strict=True))
    return [[_Group(row["leader"], made[row["row"]]) for row in rows if row["row"] in made] for rows in found]


def _keys_of(texts: Sequence[str]) -> list[list[int]]:
    """The keys of each text, that of the whole among them: equal texts share it."""
    made = keys(texts)
    found = [[whole >> 32] for whole in made.whole.tolist()]
    for value, place in zip(made.values.tolist(), made.texts.tolist(), strict=True):
        found[place].append(value)
    return found


def _texts_of(tables: Tables, rows: Iterable[int]) -> dict[int, str]:
    """What matching sees of stored passages."""
    fields = ["row", "number", "article", "collection", "data"]
    found = tables["passages"].get("row", rows, fields)
    tables.wholes(found, "data")
    return {row["row"]: visible_of(row) for row in found}


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
    found = tables["passages"].get("row", heirs.values())
    texts = _texts_of(tables, heirs.values())
    visible = [texts[row["row"]] for row in found]
    for row, own, own_keys in zip(found, sketches(visible), _keys_of(visible), strict=True):
        row["grams"], row["sketch"] = len(own.grams), sketch_vector(own_keys)
    tables["passages"].write(found, replace=True)
