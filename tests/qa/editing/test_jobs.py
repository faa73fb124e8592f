"""Jobs: each is done once, whoever does it, and what is deleted stays deleted."""

from __future__ import annotations

import os
import sqlite3
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock

from qa.configuration.config import Config, load_config
from qa.editing.corpus import identity
from qa.editing.editor import CorpusEditor
from qa.editing.jobs import Job, JobResult, Jobs, Step
from qa.editing.worker import Worker
from qa.engine import Engine
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.commands import run_qa
from tests.qa.editing.administered import serving, with_keys
from tests.qa.editing.test_uploads import finished, send
from tests.qa.servers import make_corpus, wait_until


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Three documents, indexed."""
    config = make_corpus(tmp_path, "papers")
    for number in range(3):
        write(config, f"{number}.txt", f"第{number}号文件。\n\n钟楼建于{1300 + number}年。\n")
    Engine(config).index()
    return with_keys(config)


def write(config: Config, name: str, text: str) -> Path:
    path = config.base / "papers" / name
    path.write_text(text, encoding="utf-8")
    return path


def listed(client: httpx.Client, **params: str) -> dict[str, str]:
    """The ids of documents, by path."""
    found = client.get("/v1/documents", params=params).json()["documents"]
    return {document["path"]: document["id"] for document in found}


def delete(client: httpx.Client, document_id: str, **headers: str) -> httpx.Response:
    return client.delete(f"/v1/documents/{document_id}", headers=headers)


def all_jobs(client: httpx.Client, limit: int) -> list[list[str]]:
    pages, cursor = [], ""
    while cursor is not None:
        page = client.get("/v1/jobs", params={"limit": limit, "cursor": cursor}).json()
        pages.append([job["id"] for job in page["jobs"]])
        cursor = page["next_cursor"]
    return pages


def test_a_deleted_document_is_gone_from_disk_at_once_and_from_the_index_by_the_job(config):
    with serving(config) as client:
        before = listed(client)
        accepted = delete(client, before["papers/1.txt"])
        assert not (config.base / "papers/1.txt").exists()
        job = finished(client, accepted)
        assert (job["kind"], job["status"], job["paths"]) == ("delete", "done", ["papers/1.txt"])
        assert listed(client).keys() == before.keys() - {"papers/1.txt"}
        assert_problem(delete(client, before["papers/1.txt"]), 404, "document-not-found")
        assert client.post("/v1/search", json={"query": "1301"}).json()["index"]["generation"] >= job["generation"]


def test_a_document_whose_file_is_gone_leaves_the_index(config):
    with serving(config) as client:
        before = listed(client)
        (config.base / "papers/1.txt").unlink()
        assert finished(client, delete(client, before["papers/1.txt"]))["status"] == "done"
        assert "papers/1.txt" not in listed(client)


def test_deleting_needs_the_version_that_is_there(config):
    with serving(config) as client:
        document = listed(client)["papers/0.txt"]
        response = client.get(f"/v1/documents/{document}")
        etag = response.headers["etag"]
        assert client.get(f"/v1/documents/{document}/text").headers["etag"] == etag
        finished(client, send(client, ("0.txt", "另一篇。"), replace="true"))
        assert etag not in assert_problem(delete(client, document, **{"If-Match": etag}), 412, "precondition-failed")
        assert_problem(delete(client, document, **{"If-Match": f"W/{etag}"}), 412, "precondition-failed")
        new = client.get(f"/v1/documents/{document}").headers["etag"]
        assert delete(client, document, **{"If-Match": f'"x", {new}'}).status_code == 202


def test_a_part_of_an_archive_or_mail_can_t_be_deleted_by_itself(config):
    with zipfile.ZipFile(config.base / "papers/all.zip", "w") as archive:
        archive.writestr("deep/one.txt", "压缩包里的第一篇。")
        archive.writestr("two.txt", "压缩包里的第二篇。")
    mail = EmailMessage()
    mail["Subject"] = "通知"
    mail.set_content("见附件。")
    mail.add_attachment("附件的正文。", filename="attached.txt")
    (config.base / "papers/mail.eml").write_bytes(bytes(mail))
    with serving(config) as client:
        finished(client, client.post("/v1/index"))
        known = listed(client)
        for member, holder in (("all.zip/deep/one.txt", "all.zip"), ("mail.eml/attached.txt", "mail.eml")):
            detail = assert_problem(delete(client, known[f"papers/{member}"]), 409, "conflict")
            assert f"is part of papers/{holder};" in detail
        assert finished(client, delete(client, known["papers/mail.eml"]))["status"] == "done"
        assert not [path for path in listed(client) if "mail.eml" in path]


def test_a_document_of_a_collection_that_is_no_more(config, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "config.yaml").write_text("corpus: [other]\n")
    with serving(load_config(tmp_path / "config.yaml")) as client:
        detail = assert_problem(delete(client, listed(client)["papers/1.txt"]), 409, "conflict")
        assert "POST /v1/index" in detail
        finished(client, client.post("/v1/index"))
        assert listed(client) == {}
    assert (config.base / "papers/1.txt").exists()


def test_a_link_is_removed_and_what_it_leads_to_stays(config):
    papers = config.base / "papers"
    os.symlink(papers / "1.txt", papers / "link.txt")
    (papers / "deep").mkdir()
    (papers / "deep/d.txt").write_text("深处。")
    with serving(config) as client:
        finished(client, client.post("/v1/index"))
        known = listed(client)
        finished(client, delete(client, known["papers/link.txt"]))
        assert (papers / "1.txt").exists()
        assert not (papers / "link.txt").is_symlink()
        outside = config.base / "outside"
        (papers / "deep").rename(outside)
        os.symlink(outside, papers / "deep")
        assert "has become a link" in assert_problem(delete(client, known["papers/deep/d.txt"]), 409, "conflict")
        assert (outside / "d.txt").exists()


def test_a_sync_of_all_and_a_rebuild(config):
    with serving(config) as client:
        write(config, "new.txt", "新来的。")
        (config.base / "papers/0.txt").unlink()
        write(config, "broken.pdf", "none")
        job = finished(client, client.post("/v1/index"))
        assert (job["kind"], job["status"]) == ("index", "done")
        assert job["message"] == "1 added, 0 changed, 1 removed, 0 moved, 1 skipped"
        assert [item["path"] for item in job["skipped"]] == ["papers/broken.pdf"]
        assert set(listed(client)) == {"papers/1.txt", "papers/2.txt", "papers/new.txt"}
        folder = (config.index_dir / "current").read_text()
        assert finished(client, client.post("/v1/index", json={"rebuild": True}))["message"].startswith("3 added")
        assert (config.index_dir / "current").read_text() != folder
        assert_problem(client.post("/v1/index", json={"rebild": 1}), 422, "invalid-request")


def test_a_job_waits_while_another_process_writes(config):
    with serving(config) as client:
        with FileLock(config.index_dir / "write.lock"):
            accepted = send(client, ("later.txt", "晚一点。"))
            wait_until(lambda: "waits" in client.get(accepted.headers["location"]).json()["message"])
            assert client.post("/v1/search", json={"query": "钟楼"}).json()["hits"]
        assert finished(client, accepted)["status"] == "done"


def test_jobs_are_listed_newest_first(config):
    with serving(config) as client:
        assert client.get("/v1/jobs").json() == {"jobs": [], "next_cursor": None}
        assert_problem(client.get("/v1/jobs/nope"), 404, "job-not-found")
        ids = [finished(client, send(client, (f"j{n}.txt", "x")))["id"] for n in range(5)]
        for limit, sizes in ((2, [2, 2, 1]), (5, [5]), (100, [5])):
            pages = all_jobs(client, limit)
            assert [len(page) for page in pages] == sizes
            assert [job for page in pages for job in page] == ids[::-1]


def test_two_servers_do_each_job_once_and_both_tell_of_it(config):
    with serving(config) as one, serving(load_config(config.base / "config.yaml")) as other:
        accepted = [send((one, other)[n % 2], (f"both-{n}.txt", f"第{n}篇。")) for n in range(20)]
        jobs = [finished(other, response) for response in accepted]
        assert jobs == [finished(one, response) for response in accepted]
        assert {job["status"] for job in jobs} == {"done"}
        wait_until(lambda: len(listed(one)) == len(listed(other)) == 23)


def test_what_a_dead_process_left_is_done_at_the_next_start(config):
    jobs = Jobs(config.index_dir)
    path = write(config, "left.txt", "留下的。")
    running = jobs.add("upload", ["papers/left.txt"], [Step(str(path))])
    jobs.place(running.id)
    assert [job.id for job in jobs.claim()] == [running.id]
    with serving(config) as client:
        wait_until(lambda: client.get(f"/v1/jobs/{running.id}").json()["status"] == "done")
        assert "papers/left.txt" in listed(client)


def staged(config: Config, name: str, text: str) -> Step:
    folder = config.base / "papers/.qa-upload-1"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return Step(str(config.base / "papers" / name), str(folder / name))


def test_moves_that_were_cut_short_are_finished_and_the_rest_is_cleared_away(config):
    jobs = Jobs(config.index_dir)
    steps = [staged(config, "one.txt", "一。"), staged(config, "two.txt", "二。")]
    staged(config, "never-entered.txt", "三。")
    os.link(steps[0].staged or "", steps[0].target)  # killed between the two halves of a move
    upload = jobs.add("upload", ["papers/one.txt", "papers/two.txt"], steps)
    doomed, kept = config.base / "papers/0.txt", config.base / "papers/1.txt"
    jobs.add("delete", ["papers/0.txt"], [Step(str(doomed), identity=identity(doomed))])
    before = identity(kept)
    write(config, "1.txt.new", "别人放的。").replace(kept)
    jobs.add("delete", ["papers/1.txt"], [Step(str(kept), identity=before)])
    with serving(config) as client:
        wait_until(lambda: {job["status"] for job in client.get("/v1/jobs").json()["jobs"]} == {"done"})
        assert client.get(f"/v1/jobs/{upload.id}").status_code == 200
        assert set(listed(client)) == {f"papers/{name}.txt" for name in ("1", "2", "one", "two")}
    assert sorted(path.name for path in (config.base / "papers").iterdir()) == ["1.txt", "2.txt", "one.txt", "two.txt"]


def test_an_upload_that_is_under_way_is_not_cleared_away(config):
    with CorpusEditor(config).upload() as upload:
        upload.begin("slow.txt")
        upload.write(b"x")
        with serving(config):
            upload.end()
        upload.commit()
    assert (config.base / "papers/slow.txt").read_bytes() == b"x"


def test_a_damaged_table_is_set_aside_and_all_is_synced(config, caplog):
    (config.index_dir / "jobs.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    write(config, "new.txt", "新来的。")
    with serving(config) as client:
        wait_until(lambda: "papers/new.txt" in listed(client))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "qa.editing.editor"]
    assert "jobs.sqlite.damaged" in line
    assert (config.index_dir / "jobs.sqlite.damaged").exists()


def test_the_oldest_finished_jobs_are_forgotten(config):
    jobs = Jobs(config.index_dir)
    made: list[Job] = []
    waiting = jobs.add("index", [], [])
    jobs.place(waiting.id)
    with sqlite3.connect(jobs.path) as connection:  # a thousand commits, each safe on disk, take a while
        row = connection.execute("SELECT * FROM jobs").fetchone()
        places = ", ".join("?" * len(row))
        connection.executemany(
            f"INSERT INTO jobs VALUES ({places})",
            [(None, f"old-{n}", *row[2:10], "2026-01-01T00:00:00+00:00", *row[11:]) for n in range(1100)],
        )
    connection.close()
    made = jobs.newest(2000)
    assert len(made) == 1101
    jobs.finish([(made[0], JobResult("done", ""))], 1)
    left = {job.id for job in jobs.newest(2000)}
    assert len(left) == 1001
    assert waiting.id in left
    assert made[0].id in left


def test_a_folder_that_was_emptied_empties_the_index_only_where_that_is_allowed(config):
    for number in range(3):
        (config.base / f"papers/{number}.txt").unlink()
    with serving(config) as client:
        detail = assert_problem(client.post("/v1/index"), 409, "corpus-empty")
        assert "papers: is empty, but 3 files" in detail and "\n" not in detail
        assert client.get("/v1/jobs").json()["jobs"] == []
        late = CorpusEditor(config).commit("index", [])  # it was emptied after it was asked for
        wait_until(lambda: client.get(f"/v1/jobs/{late.id}").json()["status"] == "failed")
        assert client.get(f"/v1/jobs/{late.id}").json()["message"] == detail
        assert len(listed(client)) == 3
        assert finished(client, send(client, ("new.txt", "新来的。")))["status"] == "done"
        (config.base / "papers/new.txt").unlink()
        assert finished(client, client.post("/v1/index", json={"allow_empty": True}))["status"] == "done"
        assert listed(client) == {}


def test_an_upload_does_not_fail_with_a_sync_that_is_refused(config):
    editor = CorpusEditor(config)
    sync = editor.commit("index", [])
    with editor.upload() as upload:
        upload.folder = "late"
        upload.begin("late.txt")
        upload.write("迟到的一篇。".encode())
        upload.end()
        late = upload.commit()
    (config.base / "papers").rename(config.base / "away")
    (config.base / "away/late").rename(make_corpus(config.base, "papers").base / "papers/late")
    with serving(config) as client:
        wait_until(lambda: client.get(f"/v1/jobs/{late.id}").json()["status"] == "done")
        job = client.get(f"/v1/jobs/{sync.id}").json()
        assert (job["status"], "is another folder or disk" in job["message"]) == ("failed", True)
        assert len(listed(client)) == 4


def test_a_table_of_jobs_that_an_earlier_version_made_goes_on(config):
    editor = CorpusEditor(config)
    first = editor.index()
    with sqlite3.connect(config.index_dir / "jobs.sqlite") as connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN allow_empty")
    assert Jobs(config.index_dir).job(first.id) == first
    with serving(config) as client:
        assert finished(client, client.post("/v1/index"))["status"] == "done"


class Unable:
    """An engine that can't index, until it is told that it can."""

    def __init__(self, engine: Engine, error: Exception) -> None:
        self.error: Exception | None = error
        self._engine = engine

    def index(self, *args: Any, **options: Any) -> Any:
        if self.error:
            raise self.error
        return self._engine.index(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.mark.parametrize("is_passing", [True, False])
def test_what_passes_is_tried_again_and_what_does_not_is_told(config, is_passing, caplog):
    from index.errors import EncoderError, IndexMismatchError

    editor = CorpusEditor(config)
    error = EncoderError("the endpoint is away") if is_passing else IndexMismatchError("made with another model")
    engine = Unable(Engine(config), error)
    worker = Worker(editor, lambda: engine)  # type: ignore[arg-type,return-value]
    worker.start()
    try:
        first = editor.index()
        wait_until(lambda: str(error) in editor.jobs.job(first.id).message)
        assert editor.jobs.job(first.id).status == ("queued" if is_passing else "failed")
        engine.error = None
        second = editor.index()
        wait_until(lambda: editor.jobs.job(second.id).status == "done")
        assert editor.jobs.job(first.id).status == ("done" if is_passing else "failed")
    finally:
        worker.stop()
    assert len([record for record in caplog.records if str(error) in record.getMessage()]) == 1


def test_a_stopped_server_leaves_its_jobs_to_the_next(config):
    for number in range(80):
        write(config, f"n{number}.txt", f"第{number}篇。\n" * 30)
    with serving(config) as client:
        accepted = client.post("/v1/index", json={"rebuild": True})
        wait_until(lambda: client.get(accepted.headers["location"]).json()["status"] != "queued")
    jobs = Jobs(config.index_dir)
    assert jobs.job(accepted.json()["id"]).status in ("queued", "done")
    with serving(config) as client:
        assert finished(client, accepted)["status"] == "done"
        assert len(listed(client)) == 83


def test_doctor_tells_of_jobs_that_are_left(config):
    assert "jobs: " not in run_qa("doctor", folder=config.base).stdout
    editor = CorpusEditor(config)
    editor.index()
    done = run_qa("doctor", folder=config.base)
    assert done.returncode == 0
    assert "ok    jobs: 1 not finished" in done.stdout
    with serving(config) as client:
        wait_until(lambda: client.get("/v1/jobs").json()["jobs"][0]["status"] == "done")
    assert "ok    jobs: all finished" in run_qa("doctor", folder=config.base).stdout
