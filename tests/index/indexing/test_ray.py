"""`qa index --ray` on a real two-node Ray cluster, one node of which is killed."""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from index.encoder.endpoint import EndpointEncoder
from index.encoder.static import BUNDLED_FOLDER, StaticEncoder
from index.errors import ClusterError
from index.indexing import ingest
from index.indexing.build import sync
from index.indexing.ray import RayWorkers, node
from index.parsing import ReadText
from index.store import Store
from index.text.segmenter import PLAIN
from tests.conftest import ROOT, SEEDS, seed
from tests.index.embedding_server import embedding_server
from tests.index.ray_cluster import RayCluster, ray_cluster
from tests.qa.commands import assert_fails, run_qa

SECOND = "127.0.0.3"
ENCODER = StaticEncoder(BUNDLED_FOLDER)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as found:
        yield found


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_BATCH_CHARS", 2000)
    monkeypatch.setattr(ingest, "_TOGETHER_CHARS", 20_000)


def corpus(base: Path, files: int) -> Path:
    text = "".join(seed(number) for number in range(5))
    (base / "docs").mkdir(parents=True)
    for number in range(files):
        start = number * 173 % (len(text) - 800)
        (base / "docs" / f"{number:03}.txt").write_text(f"第{number}号文件\n\n{text[start : start + 800]}", "utf-8")
    return base


def index(base: Path, encoder: Any = ENCODER, **options: Any) -> tuple[Store, Any]:
    return sync({"docs": base / "docs"}, base / "data", encoder, base=base, **options)


def content(base: Path) -> dict[str, list[Any]]:
    """All that the database holds, but for the times."""
    folder = base / "data" / (base / "data" / "current").read_text()
    with closing(sqlite3.connect(folder / "index.sqlite")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for table in set(tables) - {"meta"}:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            kept = ", ".join(name for name in columns if name not in ("read_at", "mtime_ns"))
            found[table] = sorted(database.execute(f"SELECT {kept} FROM {table}"), key=repr)
    return found


def config(folder: Path) -> Path:
    shutil.copytree(SEEDS, folder / "seeds")
    (folder / "config.yaml").write_text("corpus: [seeds]\n")
    return folder


def test_the_command(cluster: RayCluster, tmp_path: Path) -> None:
    done = run_qa("index", "--ray", cluster.client, folder=config(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.splitlines()[-1].startswith("indexed ") and "ray" not in done.stderr.lower()
    answer = run_qa("ask", "兰州帮扶中心资助了多少学生", "--json", folder=tmp_path)
    assert json.loads(answer.stdout)["answer"]["value"] == "1097名"


def test_a_killed_node_changes_nothing(cluster: RayCluster, tmp_path: Path) -> None:
    alone, _ = index(corpus(tmp_path / "one", 120))
    killed: list[float] = []

    def progress(what: str, done: float, total: int) -> None:
        if not killed:
            killed.append(done)
            cluster.kill(SECOND)

    base = corpus(tmp_path / "two", 120)
    with cluster.node(SECOND):
        together, report = index(base, workers=partial(RayWorkers, address=cluster.address), progress=progress)
    assert killed and killed[0] < 80 and len(report.added) == 120
    assert content(tmp_path / "one") == content(base)
    for token in ("工会", "职工", "帮扶"):
        assert together.document_frequency(token) == alone.document_frequency(token) > 0


def test_a_task_gives_the_same_when_done_again(cluster: RayCluster) -> None:
    with RayWorkers(ENCODER, PLAIN, cluster.address) as workers:
        batch = [ReadText(seed(0)), ReadText(seed(1))]
        first, second = (workers.submit("digests", batch).result() for _ in range(2))
        several = list(workers.map("digests", [[ReadText(seed(number % 2))] for number in range(40)]))
    assert pickle.dumps(first) == pickle.dumps(second)
    assert [pickle.dumps(found) for found in several] == [pickle.dumps([first[number % 2]]) for number in range(40)]


def test_the_vectors_of_a_slow_encoder_are_kept(cluster: RayCluster, tmp_path: Path) -> None:
    base = corpus(tmp_path / "two", 12)
    with embedding_server() as server:
        encoder = EndpointEncoder("model", server.url)
        index(corpus(tmp_path / "one", 12), encoder)
        index(base, encoder, workers=partial(RayWorkers, address=cluster.address))
        assert content(tmp_path / "one") == content(base)
        kept = [vectors_in(folder / "data" / "embeddings.sqlite") for folder in (tmp_path / "one", base)]
        assert kept[0] == kept[1]
        server.texts.clear()
        index(base, encoder, workers=partial(RayWorkers, address=cluster.address), rebuild=True)
        assert set(server.flat) <= {"1"}  # what the dimension is learned by
    assert content(tmp_path / "one")["documents"] == content(base)["documents"]


def vectors_in(path: Path) -> dict[bytes, bytes]:
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT text, vector FROM vectors"))


def test_a_node_with_other_code_is_refused(cluster: RayCluster, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "index", tmp_path / "index", ignore=shutil.ignore_patterns("bundled", "__pycache__"))
    (tmp_path / "index" / "bundled").symlink_to(BUNDLED_FOLDER)
    with (tmp_path / "index" / "fold.py").open("a") as file:
        file.write("# another version\n")
    with (
        cluster.node("127.0.0.4", PYTHONPATH=str(tmp_path)),
        pytest.raises(ClusterError, match=r"node 127\.0\.0\.4 has cited-qa .* but here it is .*install the same there"),
        RayWorkers(ENCODER, PLAIN, cluster.address),
    ):
        pass


def test_what_a_node_must_change_is_said() -> None:
    here = node.identity(pickle.dumps((ENCODER, PLAIN)))
    assert node.differences(here, dict(here), "n") == ""
    found = node.differences(here, here | {"encoder": "other:1"}, "10.0.0.7")
    assert found.startswith("node 10.0.0.7 has encoder other:1, but here it is bundled:")


def test_no_cluster(tmp_path: Path) -> None:
    config(tmp_path)
    done = run_qa("index", "--ray", "auto", folder=tmp_path, RAY_ADDRESS="127.0.0.1:9")
    assert_fails(done, 4, "--ray auto: no cluster answers at 127.0.0.1:9 (Connection refused)")
    assert_fails(run_qa("index", "--ray", "nowhere", folder=tmp_path), 2, "'nowhere' is no address of a cluster")
    assert_fails(run_qa("index", "--ray", "auto", "--watch", folder=tmp_path), 2, "--ray")
    assert not (tmp_path / "data" / "current").exists()


def test_a_cluster_that_ends_leaves_what_was_stored(
    cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test, as nothing is left of the cluster."""
    monkeypatch.setattr("index.indexing.ray.PATIENCE_S", 5.0)
    base = corpus(tmp_path / "one", 100)
    with pytest.raises(ClusterError, match="what was stored until then stays") as raised:
        index(base, workers=partial(RayWorkers, address=cluster.address), progress=lambda *_: cluster.end())
    assert "Traceback" not in str(raised.value) and "\n" not in str(raised.value)
    _, report = index(base)
    assert report.unchanged > 0 and report.documents == 100
