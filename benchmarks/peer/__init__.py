"""What a peer must do to be measured, and what all peers are given alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

ENCODER = str(Path(__file__).parents[2] / "index" / "bundled")
# Passages as long as ours, for splitters that ask; the overlap is a sixth, as the peers' examples have it or less.
CHUNK_CHARS = 300
OVERLAP_CHARS = 50
# Where to cut Chinese, the largest pieces first.
CHINESE_SEPARATORS = ["\n\n", "\n", "。", "！", "？", "!", "?", "；", ";", "，", ",", " ", ""]


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be indexed, and the number of the document that it comes from."""

    document: int
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found; `score` is the peer's own, None where it gives none."""

    document: int
    text: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first; `refused` where the peer says that the documents do not answer."""

    hits: Sequence[Hit]
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a peer's own server, and what asks it each question: path and JSON body, None for GET.

    `workers` is the option for several processes, None where it has none.
    """

    command: Sequence[str]
    requests: Sequence[tuple[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)
    workers: str | None = None


class Peer(Protocol):
    """One way to search documents. Making it imports the libraries and loads the encoder."""

    # What splits documents into passages, for the record.
    splitter: str

    def split(self, texts: Sequence[str]) -> list[Passage]:
        """Documents as passages, by the peer's own splitter."""

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        """Index passages and keep the index in `folder`; `open` is not needed to ask afterwards in this process."""

    def open(self, folder: Path) -> None:
        """Load the index that `build` kept."""

    def search(self, question: str, top_k: int) -> Found:
        """The best passages."""

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        """The peer's own HTTP server over the index in `folder`; None where it has none."""


def load(name: str) -> Peer:
    """The peer of this name, its libraries imported and its encoder loaded."""
    peer: Peer = import_module(f"peer.{name}").Adapter()
    return peer
