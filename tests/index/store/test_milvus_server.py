"""What is said when a Milvus server can't be used, and what a restart of it leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from index.errors import ConfigError, IndexBusyError, IndexMismatchError, IndexUnusableError
from index.store import Settings
from index.store.milvus.connection import MilvusOptions, Server
from index.store.milvus.state import Lease, State
from index.store.milvus.store import MilvusLocation
from index.text.segmenter import Segmenter, UserWord
from index.types import Filters
from tests.conftest import ROOT
from tests.index.shelf import Shelf
from tests.milvus_server import free_port, milvus, own_prefix


@contextmanager
def answering(**replies: Any) -> Iterator[str]:
    """A server that speaks Milvus' protocol and answers these methods in these ways."""
    import grpc
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    class Servicer(milvus_pb2_grpc.MilvusServiceServicer):  # type: ignore[misc]
        def Connect(self, request: Any, context: Any) -> Any:
            if "refusal" in replies:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, replies["refusal"])
            return milvus_pb2.ConnectResponse()

        def GetVersion(self, request: Any, context: Any) -> Any:
            return milvus_pb2.GetVersionResponse(version=replies.get("version", "v2.6.0"))

    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def failure(uri: str) -> str:
    with pytest.raises(IndexUnusableError) as raised:
        MilvusLocation(MilvusOptions(uri, timeout_s=3)).open(Settings("x"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_server_that_is_not_there() -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    assert failure(uri).startswith(f"{uri}: the Milvus server can't be reached")


def test_a_server_that_is_too_old() -> None:
    with answering(version="v2.3.21") as uri:
        assert failure(uri) == f"{uri}: Milvus v2.3.21 is too old; 2.4 or later is needed"


def test_a_server_that_refuses_us() -> None:
    with answering(refusal="auth check failure, please check username and password") as uri:
        assert "check milvus.token" in failure(uri)


def test_a_server_that_can_not_do_what_is_asked() -> None:
    with answering() as uri:
        assert "could not do it" in failure(uri)


def test_pymilvus_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(ConfigError, match=r"pip install 'cited-qa\[milvus\]'"):
        MilvusLocation(MilvusOptions("http://127.0.0.1:1")).open(Settings("x"))


def test_pymilvus_is_imported_for_milvus_only() -> None:
    code = "import sys, qa.cli.main, index.indexing.build; sys.exit('pymilvus' in sys.modules or 'grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_other_words_need_a_rebuild(tmp_path: Path, milvus_uri: str) -> None:
    with own_prefix(milvus_uri) as options:
        shelf = Shelf(tmp_path, MilvusLocation(options))
        shelf.write("docs/a.txt", "兰州帮扶中心。")
        shelf.sync()
        other = Settings(shelf.encoder.fingerprint, Segmenter([UserWord("帮扶中心")]))
        with pytest.raises(IndexMismatchError, match="segmenter .* qa index --rebuild"):
            shelf.place.open(other)


@pytest.mark.parametrize("vector_index", ["FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"])
def test_each_type_of_vector_index(tmp_path: Path, milvus_uri: str, vector_index: str) -> None:
    with own_prefix(milvus_uri) as options:
        shelf = Shelf(tmp_path, MilvusLocation(replace(options, vector_index=vector_index)))
        for number in range(60):
            shelf.write(f"docs/{number}.txt", f"第{number}号文件讲的是{'甲乙丙丁戊己庚辛'[number % 8]}类事情。")
        shelf.write("docs/lanzhou.txt", "兰州帮扶中心帮助1097名困难家庭子女圆了大学梦。")
        shelf.sync()
        vector = shelf.encoder.encode_query("兰州帮扶中心帮助1097名困难家庭子女圆了大学梦。")
        store = MilvusLocation(options).open(shelf.settings)  # what it was made with counts, not what is set now
        (row, cosine), *_ = store.search_vectors(vector, 200, Filters())
        assert store.passages([row])[row].path == "docs/lanzhou.txt"
        assert cosine == pytest.approx(1.0, abs=0.02)


def test_a_lease_goes_to_one_of_two(milvus_uri: str) -> None:
    with own_prefix(milvus_uri) as options:
        state = State(Server(options)).table
        state.create(0)
        with Lease(state, "here") as lease:
            lease.check()
            for _ in range(2):
                with pytest.raises(IndexBusyError, match="another process is writing this index"), Lease(state, "here"):
                    pass
        with Lease(state, "here"):
            pass
        assert state.count('key like "claim/%"') == 0


def test_what_was_written_is_there_after_the_server_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITED_QA_TEST_MILVUS", raising=False)
    port = free_port()
    with milvus(tmp_path, port) as uri:
        shelf = Shelf(tmp_path, MilvusLocation(MilvusOptions(uri, timeout_s=10)))
        shelf.write("docs/lanzhou.txt", "兰州帮扶中心帮助1097名困难家庭子女圆了大学梦。")
        before = shelf.sync()
    with milvus(tmp_path, port):
        store = shelf.open()
        assert (store.counts(), store.generation, store.check()) == ((1, 1), before.generation, "ok")
        assert shelf.find("兰州大学梦", store) == ["docs/lanzhou.txt"]
        shelf.write("docs/wuwei.txt", "武威市总工会资助困难学生2436人。")
        assert (shelf.sync().unchanged, shelf.open().counts()) == (1, (2, 2))
