"""Files that come over HTTP: where they may go, what is refused, and that they are there or never were."""

from __future__ import annotations

import os
import socket
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock

from qa.configuration.config import Config, load_config
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.editing import administered
from tests.qa.servers import make_corpus, serving, wait_until

TOWER = "钟楼建于1384年。\n"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("uploads")
    make_corpus(folder, "papers", "notes")
    with (folder / "config.yaml").open("a") as file:
        file.write("server: {max_upload_mb: 2}\n")
    return load_config(folder / "config.yaml")


@pytest.fixture(scope="module")
def client(config: Config) -> Iterator[httpx.Client]:
    with serving(config) as client:
        yield client


@pytest.fixture
def papers(config: Config) -> Iterator[Path]:
    """The first collection's folder; nothing hidden is left in it."""
    folder = config.base / "papers"
    yield folder
    assert list(folder.rglob(".*")) == []


def send(client: httpx.Client, *files: tuple[str, str | bytes], **fields: str) -> httpx.Response:
    return client.post("/v1/documents", files=[("file", file) for file in files], data=fields)


def finished(client: httpx.Client, accepted: httpx.Response) -> dict[str, Any]:
    """The job of an accepted request, when it has ended."""
    assert accepted.status_code == 202, accepted.text
    assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['id']}"

    def job() -> dict[str, Any]:
        return client.get(accepted.headers["location"]).json()

    wait_until(lambda: job()["status"] in ("done", "failed"))
    return job()


def test_a_file_is_taken_and_found(client, papers):
    accepted = send(client, ("tower.txt", TOWER))
    assert (papers / "tower.txt").read_text(encoding="utf-8") == TOWER
    job = accepted.json()
    assert (job["kind"], job["paths"], job["finished_at"]) == ("upload", ["papers/tower.txt"], None)
    job = finished(client, accepted)
    assert (job["status"], job["progress"], job["skipped"]) == ("done", 1.0, [])
    answer = client.post("/v1/ask", json={"query": "钟楼建于哪一年"}).json()
    assert answer["index"]["generation"] >= job["generation"]
    assert answer["citations"][0]["document_id"] in job["document_ids"]


def test_several_files_go_into_a_folder_of_another_collection(client, config):
    accepted = send(client, ("a.txt", "甲文。"), ("b.md", "# 乙文\n\n乙。"), collection="notes", folder="2024/会议")
    job = finished(client, accepted)
    assert job["paths"] == ["notes/2024/会议/a.txt", "notes/2024/会议/b.md"]
    assert len(job["document_ids"]) == 2
    assert (config.base / job["paths"][0]).read_text(encoding="utf-8") == "甲文。"


def multipart(*parts: tuple[bytes, bytes]) -> dict[str, Any]:
    """A body made by hand: each part's Content-Disposition parameters and content."""
    body = b"".join(
        b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head, content) for head, content in parts
    )
    return {"content": body + b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


def test_fields_may_follow_the_files(client, config):
    body = multipart(
        (b'name="file"; filename="late.txt"', b"late"),
        (b'name="collection"', b"notes"),
        (b'name="folder"', b"x"),
        (b'name="replace"', b"true"),
    )
    assert client.post("/v1/documents", **body).status_code == 202
    assert (config.base / "notes/x/late.txt").read_bytes() == b"late"


def test_a_file_that_is_there_is_replaced_only_when_told(client, papers):
    finished(client, send(client, ("house.txt", "房子有3间。")))
    detail = assert_problem(send(client, ("house.txt", "房子有5间。"), ("other.txt", "x")), 409, "conflict")
    assert detail.startswith("house.txt: is there already")
    assert not (papers / "other.txt").exists()
    job = finished(client, send(client, ("house.txt", "房子有5间。"), ("other.txt", "x"), replace="true"))
    assert job["status"] == "done"
    assert (papers / "house.txt").read_text(encoding="utf-8") == "房子有5间。"
    text = client.get(f"/v1/documents/{job['document_ids'][0]}/text").text
    assert text == "房子有5间。"


def test_a_folder_is_never_replaced(client, papers):
    (papers / "dir.txt").mkdir()
    assert "is a folder" in assert_problem(send(client, ("dir.txt", "x"), replace="true"), 409, "conflict")
    (papers / "dir.txt").rmdir()


def test_one_of_two_at_once_wins(client, papers):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: send(client, ("race.txt", f"第{n}个")).status_code, range(8)))
    assert sorted(found) == [202] + [409] * 7
    assert (papers / "race.txt").read_text(encoding="utf-8").startswith("第")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../out.txt", "slash"),
        ("/etc/out.txt", "slash"),
        ("a/b.txt", "slash"),
        ("..\\out.txt", "slash"),
        ("..", "begins with"),
        ("nul\0.txt", "control"),
        ("line\nbreak.txt", "control|not valid multipart"),
        ("\u202etxt.exe.txt", "control"),
        (".hidden.txt", "begins with"),
        ("~$open.docx", "begins with"),
        ("文" * 84 + ".txt", "255 bytes"),
        ("con.txt", "can't keep"),
        ("LPT1.log.txt", "can't keep"),
        ("a.txt.", "can't keep"),
        ("a.txt ", "can't keep"),
        ("", "is no name|no filename"),
        ("   ", "is no name"),
    ],
)
def test_names_that_could_do_harm(client, config, papers, name, said):
    before = sorted(config.base.rglob("*"))
    quoted = name.replace("\\", "\\\\").encode()
    response = client.post("/v1/documents", **multipart((b'name="file"; filename="%s"' % quoted, b"x")))
    detail = assert_problem(response, 422, "invalid-request")
    assert any(words in detail for words in said.split("|")), detail
    assert [path for path in sorted(config.base.rglob("*")) if "data" not in path.parts] == [
        path for path in before if "data" not in path.parts
    ]


@pytest.mark.parametrize(
    "folder", ["..", "../papers", "a/../b", "/etc", "a//b", "./a", ".git", "a\\b", "a/\0", "x" * 2000, "link", "link/x"]
)
def test_folders_that_could_do_harm(client, config, papers, tmp_path, folder):
    os.symlink(tmp_path, papers / "link")
    try:
        detail = assert_problem(send(client, ("x.txt", "x"), folder=folder), 422, "invalid-request")
    finally:
        (papers / "link").unlink()
    assert detail.startswith("folder: ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(client, papers):
    (papers / "plain.txt").write_text("x")
    assert "is a file" in assert_problem(send(client, ("x.txt", "x"), folder="plain.txt"), 422, "invalid-request")


def test_the_folder_of_the_index_is_out_of_reach(tmp_path):
    (tmp_path / "config.yaml").write_text("corpus: [all: .]\n")
    with serving(load_config(tmp_path / "config.yaml")) as client:
        detail = assert_problem(send(client, ("x.txt", "x"), folder="data"), 422, "invalid-request")
    assert "where the index is kept" in detail


def test_a_decomposed_name_is_the_composed_one(client, config, papers):
    name = unicodedata.normalize("NFD", "été.txt")
    assert send(client, (name, "un")).json()["paths"] == ["papers/été.txt"]
    assert_problem(send(client, ("été.txt", "deux")), 409, "conflict")
    old = unicodedata.normalize("NFD", "père.txt")
    (papers / old).write_text("ancien")
    assert_problem(send(client, ("père.txt", "x")), 409, "conflict")
    with administered.serving(administered.with_keys(config)) as boss:
        finished(boss, send(boss, ("père.txt", "nouveau"), replace="true"))
    assert (papers / old).read_text() == "nouveau"
    assert not (papers / "père.txt").exists()


@pytest.mark.parametrize(
    ("name", "said"), [("a.exe", "type .exe"), ("a", "type (none)"), ("a.doc", "save it as .docx"), ("a.txt.gz", ".gz")]
)
def test_types_that_are_not_read(client, papers, name, said):
    detail = assert_problem(send(client, ("fine.txt", "x"), (name, "x")), 415, "unsupported-type")
    assert said in detail
    assert " .txt " in f"{detail} "
    assert not (papers / "fine.txt").exists()


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"json": {"file": "x"}}, 415, "multipart/form-data"),
        ({"content": b"x"}, 415, "multipart/form-data"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "boundary"),
        ({"content": b"x", "headers": {"Content-Type": f"multipart/form-data; boundary={'y' * 999}"}}, 422, "oundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "body: "),
        ({"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "last boundary"),
        (multipart(), 422, "file: is missing"),
        (multipart((b'name="file"', b"x")), 422, "file: has no filename"),
        (multipart((b'filename="a.txt"', b"x")), 422, "name the part `file`"),
        (multipart((b'name="files"; filename="a.txt"', b"x")), 422, "files: is not a known"),
        (multipart((b'name="colection"', b"x")), 422, "colection: is not a known"),
        (multipart((b'name="collection"', b"nope"), (b'name="file"; filename="a.txt"', b"x")), 422, "papers, notes"),
        (multipart((b'name="replace"', b"maybe"), (b'name="file"; filename="a.txt"', b"x")), 422, "replace: "),
        (multipart((b'name="folder"', b"x" * 5000)), 422, "folder: is longer"),
        (multipart((b'name="file"; filename="\xff.txt"', b"x")), 422, "file: is not UTF-8"),
        (multipart(*[(b'name="file"; filename="a.txt"', b"x")] * 2), 422, "same filename"),
        (multipart(*[(b'name="file"; filename="%d.txt"' % n, b"x") for n in range(201)]), 422, "more than 200"),
    ],
)
def test_forms_that_are_none(client, papers, request_, status, said):
    before = sorted(papers.iterdir())
    kind = "unsupported-type" if status == 415 else "invalid-request"
    assert said in assert_problem(client.post("/v1/documents", **request_), status, kind)
    assert sorted(papers.iterdir()) == before


@pytest.mark.parametrize("size", [2 << 20, 40 << 20])
@pytest.mark.parametrize("is_announced", [True, False])
def test_too_large(client, papers, size, is_announced):
    request = multipart((b'name="file"; filename="large.txt"', b"x" * size))
    if not is_announced:
        body = request["content"]
        request["content"] = (body[start : start + 65536] for start in range(0, len(body), 65536))
    assert "2097152 bytes" in assert_problem(client.post("/v1/documents", **request), 413, "body-too-large")
    assert not (papers / "large.txt").exists()


def test_other_routes_keep_their_limit(client):
    assert_problem(client.post("/v1/index", content=b" " * 1_500_000), 413, "body-too-large")


def test_a_client_that_goes_away_leaves_nothing(client, papers):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(
            b"POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="half.txt"\r\n\r\n' + b"y" * 100_000
        )
        wait_until(lambda: any(papers.glob(".qa-upload-*/1")))
    wait_until(lambda: not any(papers.glob(".qa-upload-*")))
    assert not (papers / "half.txt").exists()


def test_nothing_can_be_read_says_failed(client):
    job = finished(client, send(client, ("broken.pdf", "no pdf at all"), ("empty.txt", "")))
    assert (job["status"], job["document_ids"]) == ("failed", [])
    assert [item["path"] for item in job["skipped"]] == ["papers/broken.pdf", "papers/empty.txt"]
    assert all(item["reason"] for item in job["skipped"])


def test_something_can_be_read_says_done_and_what_could_not(client):
    job = finished(client, send(client, ("broken2.pdf", "no pdf at all"), ("good.txt", "好文。")))
    assert (job["status"], len(job["document_ids"])) == ("done", 1)
    assert [item["path"] for item in job["skipped"]] == ["papers/broken2.pdf"]


def test_a_replacement_that_can_t_be_read_says_failed_and_keeps_the_last_version(client):
    first = finished(client, send(client, ("table.csv", "城市,人口\n甲,3\n")))
    job = finished(client, send(client, ("table.csv", b"\x00\x01\x02" * 50), replace="true"))
    assert (job["status"], job["document_ids"]) == ("failed", first["document_ids"])
    assert "its last version stays" in job["skipped"][0]["reason"]


def test_many_uploads_cost_few_syncs(client, config):
    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(lambda n: send(client, (f"many-{n}.txt", f"第{n}篇。")), range(60)))
    jobs = [finished(client, response) for response in accepted]
    assert {job["status"] for job in jobs} == {"done"}
    assert len({document for job in jobs for document in job["document_ids"]}) == 60
    assert len({job["generation"] for job in jobs}) < 20


def test_memory_is_not_the_place_of_an_upload(tmp_path):
    config = make_corpus(tmp_path, "papers")
    size = 90 << 20

    def body() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="large.zip"\r\n\r\n'
        for _ in range(size >> 20):
            yield b"\1" * (1 << 20)
        yield b"\r\n--x--\r\n"

    with serving(config) as client, FileLock(config.index_dir / "write.lock"):  # reading it takes memory, later
        before = peak_kb()
        response = client.post(
            "/v1/documents", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert response.status_code == 202
        assert (tmp_path / "papers/large.zip").stat().st_size == size
        assert peak_kb() - before < 30_000


def peak_kb() -> int:
    """The most memory that this process has ever had, in kB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
