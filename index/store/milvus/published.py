"""What readers go by: which index is current, what it was made with, and what was published of it last."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field

from index.errors import IndexMismatchError, IndexMissingError
from index.store.local import Settings
from index.store.milvus.connection import Server, Table, literal
from index.store.milvus.schema import FORMAT, STATE

_CURRENT = "current"
_PUBLISHED = "published"
_SETTINGS = "settings"
# Replicas of a shard follow each other within this time, so that reads need not wait for all of them.
_SETTLED_S = 30.0


@dataclass(frozen=True, slots=True)
class Published:
    """A generation that readers may see, with its totals; `at` is when, in seconds since 1970.

    `probe` is the place of a token that some passage holds.
    """

    generation: int = 0
    documents: int = 0
    passages: int = 0
    articles: int = 0
    units: int = 0
    passage_tokens: int = 0
    article_tokens: int = 0
    probe: int | None = None
    at: float = field(default_factory=time.time)

    @property
    def level(self) -> str:
        """The consistency that reads of it need: what was written long ago is everywhere."""
        return "Bounded" if time.time() - self.at > _SETTLED_S else "Strong"


@dataclass(frozen=True, slots=True)
class Made:
    """What an index is made with. `averages` are the tokens of a passage and of an article that weights refer to."""

    encoder: str
    segmenter: str
    format: int
    dim: int
    vector_index: str
    averages: tuple[float, float] | None = None

    @classmethod
    def by(cls, settings: Settings, dim: int, vector_index: str) -> Made:
        return cls(settings.encoder, settings.segmenter.fingerprint, FORMAT, dim, vector_index)

    def check(self, settings: Settings, where: str) -> None:
        """Raise IndexMismatchError when other settings are in use."""
        wanted = Made.by(settings, self.dim, self.vector_index)
        for key in ("encoder", "segmenter", "format"):
            if getattr(self, key) != getattr(wanted, key):
                raise IndexMismatchError(
                    f"{where}: the index was made with {key} {getattr(self, key)!r}, but {getattr(wanted, key)!r} is"
                    " in use; run: qa index --rebuild"
                )


class State:
    """What all indexes with our prefix share."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.table = server.table("", STATE)

    def current(self, level: str = "Strong") -> str | None:
        """The name of the index that readers use; None before the first."""
        self.table.level = level
        return _value(self.table, _CURRENT)

    def make_current(self, name: str) -> None:
        self.table.write([{"key": _CURRENT, "value": name}], replace=True)


class Notes:
    """Settings of one index and small things that it keeps."""

    def __init__(self, server: Server, name: str) -> None:
        self.table = server.table(name, "notes")

    def get(self, key: str) -> str | None:
        return _value(self.table, key)

    def set(self, key: str, value: str) -> None:
        self.table.write([{"key": key, "value": value}], replace=True)

    def made(self) -> Made | None:
        found = self.get(_SETTINGS)
        if found is None:
            return None
        values = json.loads(found)
        if values["format"] != FORMAT:  # which is all that can be said of it
            return Made(values["encoder"], values["segmenter"], values["format"], 0, "")
        return Made(**(values | {"averages": tuple(values["averages"]) if values["averages"] else None}))

    def set_made(self, made: Made) -> None:
        self.set(_SETTINGS, json.dumps(asdict(made)))

    def published(self, level: str = "Strong") -> Published | None:
        self.table.level = level
        found = self.get(_PUBLISHED)
        return Published(**json.loads(found)) if found else None

    def publish(self, published: Published) -> None:
        self.set(_PUBLISHED, json.dumps(asdict(published)))


def _value(table: Table, key: str) -> str | None:
    found = table.read(f"key == {literal(key)}", ["value"])
    return found[0]["value"] if found else None


def missing(where: str) -> IndexMissingError:
    """What is to be said where nothing has been published."""
    return IndexMissingError(f"{where}: there is no index here; run: qa index")
