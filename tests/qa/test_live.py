"""The index changes while it is asked: every answer is of one generation, and its citations are exact in that one."""

from __future__ import annotations

import subprocess
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from index.errors import DocumentNotFoundError
from qa.configuration.config import Config, load_config
from qa.engine import Engine
from tests.qa.commands import COMMAND, environment
from tests.qa.servers import make_corpus, serving

QUESTION = "钟楼建于哪一年"
DOCUMENTS = 6


def text(number: int, version: int) -> str:
    filling = "".join(f"第{line}行说的是别的事情。\n\n" for line in range(version % 5))
    return f"第{number}号文件,第{version}版\n\n{filling}钟楼建于{1000 + 100 * number + version}年,高{version}米。\n"


def write(config: Config, number: int, version: int) -> None:
    fresh = config.base / f"papers/.{number}"
    fresh.write_text(text(number, version), encoding="utf-8")
    fresh.replace(config.base / f"papers/{number}.txt")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = make_corpus(tmp_path, "papers")
    for number in range(DOCUMENTS):
        write(config, number, 1)
    Engine(config).index()
    return config


def test_a_published_generation_stays_whole_until_the_next_is_published(config):
    reader, newcomers = Engine(config), []
    before = reader.ask(QUESTION, top_k=50)
    texts = {info.id: reader.document(info.id).text for info in reader.documents()}
    for number in range(DOCUMENTS):
        write(config, number, 2)
    (config.base / "papers/0.txt").unlink()
    (config.base / "papers/extra.txt").write_text(text(50, 2), encoding="utf-8")

    def look(path: str, done: float, total: int) -> None:
        if done == total:
            return  # it may be published by then
        newcomers.append(Engine(config))
        for engine in (reader, newcomers[-1]):
            found = engine.ask(QUESTION, top_k=50)
            assert found.index == before.index
            assert [(hit.passage_id, hit.text, hit.stale) for hit in found.hits] == [
                (hit.passage_id, hit.text, True) for hit in before.hits
            ]
            assert {info.id: engine.document(info.id).text for info in engine.documents()} == texts

    Engine(config).index(progress=look)
    assert len(newcomers) > DOCUMENTS  # also while what is derived is made
    after = reader.ask(QUESTION, top_k=50)
    assert after.index.generation > before.index.generation
    assert len(reader.documents()) == DOCUMENTS
    assert all(reader.document(hit.document_id).text[hit.start : hit.end] == hit.text for hit in after.hits)
    assert not {hit.text for hit in after.hits} & {hit.text for hit in before.hits if "建于" in hit.text}


def test_what_went_is_dropped_by_the_sync_after(config):
    engine = Engine(config)
    gone = engine.documents()[0]
    (config.base / gone.path).unlink()
    for left in (DOCUMENTS, DOCUMENTS - 1):
        engine.index()
        with pytest.raises(DocumentNotFoundError):
            engine.document(gone.id)
        with engine.store.database._reading() as connection:  # type: ignore[attr-defined]
            assert connection.execute("SELECT count(*) FROM main.documents").fetchone() == (left,)


class Checking:
    """A client that asks all the time and checks each citation against the text of the same generation."""

    def __init__(self, client: httpx.Client) -> None:
        self.problems: list[str] = []
        self.exact: dict[int, int] = defaultdict(int)
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            response = self._client.post("/v1/ask", json={"query": QUESTION, "top_k": 20})
            if response.status_code != 200:
                self.problems.append(response.text)
                continue
            answer = response.json()
            for place in (*answer["citations"], *answer["hits"]):
                self._check(answer["index"]["generation"], place, place.get("quote") or place["text"])

    def _check(self, generation: int, place: dict[str, Any], quote: str) -> None:
        known = [text(int(Path(str(place["path"])).stem), version) for version in range(1, 40)]
        if quote not in {text[place["start"] : place["end"]] for text in known}:
            self.problems.append(f"no version of {place['path']} says {quote!r} there")
        response = self._client.get(f"/v1/documents/{place['document_id']}/text")
        if response.headers.get("x-index-generation") != str(generation):
            return  # the next one has been published
        if response.status_code != 200 or response.text[place["start"] : place["end"]] != quote:
            self.problems.append(f"{generation}: {quote!r} is not in {response.text!r}")
        self.exact[generation] += 1

    def __enter__(self) -> Checking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_answers_are_exact_while_another_process_replaces_the_documents(config):
    with serving(load_config(config.base / "config.yaml")) as client, Checking(client) as checking:
        for version in range(2, 4):
            for number in range(version % 2, DOCUMENTS, 2):
                write(config, number, version)
            (config.base / f"papers/{version}.txt").unlink()
            subprocess.run(
                [*COMMAND, "index"], cwd=config.base, env=environment(), check=True, stderr=subprocess.DEVNULL
            )
    assert checking.problems == []
    assert len(checking.exact) > 1
