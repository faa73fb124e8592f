"""What may be deleted over HTTP, and that all of it can be brought back, whenever the power goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from index.errors import ConflictError, DocumentNotFoundError
from qa.configuration.config import Config
from qa.configuration.settings import TrashConfig
from qa.editing.corpus import identity
from qa.editing.editor import CorpusEditor
from qa.editing.jobs import Step
from qa.editing.trash import Trash
from qa.engine import Engine
from tests.qa import servers
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.commands import assert_fails, run_qa
from tests.qa.editing.administered import serving, with_keys
from tests.qa.editing.test_jobs import delete, listed
from tests.qa.editing.test_uploads import finished, send
from tests.qa.servers import make_corpus


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One document that nobody uploaded, indexed."""
    config = make_corpus(tmp_path, "papers")
    (tmp_path / "papers/own.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    Engine(config).index()
    return config


def upload(config: Config, name: str, content: bytes, *, replace: bool = False) -> None:
    with CorpusEditor(config).upload() as sent:
        sent.replace = replace
        sent.begin(name)
        sent.write(content)
        sent.end()
        sent.commit()


def test_without_keys_only_what_was_uploaded_goes(config: Config) -> None:
    own = config.base / "papers/own.txt"
    with servers.serving(config) as client:
        known = listed(client)
        detail = assert_problem(delete(client, known["papers/own.txt"]), 403, "not-uploaded")
        assert "papers/own.txt: was not uploaded" in detail and "server.api_keys" in detail
        assert_problem(send(client, ("own.txt", "换掉。"), replace="true"), 403, "not-uploaded")
        finished(client, send(client, ("new.txt", "新来的。")))
        finished(client, send(client, ("new.txt", "再来的。"), replace="true"))
    with servers.serving(config) as client:  # what was uploaded is known after a restart
        finished(client, delete(client, listed(client)["papers/new.txt"]))
        assert list(listed(client)) == ["papers/own.txt"]
    assert own.read_text(encoding="utf-8") == "钟楼建于1384年。"


def test_what_came_to_the_place_of_an_upload_is_not_one(config: Config) -> None:
    with servers.serving(config) as client:
        finished(client, send(client, ("new.txt", "新来的。")))
        (config.base / "papers/new.txt").write_text("手写的。", encoding="utf-8")
        assert_problem(delete(client, listed(client)["papers/new.txt"]), 403, "not-uploaded")


def test_with_a_key_anything_goes_and_comes_back(config: Config) -> None:
    own = config.base / "papers/own.txt"
    before = own.read_bytes()
    with serving(with_keys(config)) as client:
        finished(client, send(client, ("own.txt", "第二版。"), replace="true"))
        finished(client, delete(client, listed(client)["papers/own.txt"]))
        assert not own.exists()
        lines = run_qa("undelete", folder=config.base).stdout.splitlines()
        assert [line.split()[2:5:2] for line in lines] == [
            ["deleted", "papers/own.txt"],
            ["replaced", "papers/own.txt"],
        ]
        done = run_qa("undelete", lines[1].split()[0], folder=config.base)
        assert (done.returncode, done.stdout) == (0, "") and "papers/own.txt is back" in done.stderr
        assert own.read_bytes() == before
        servers.wait_until(lambda: client.get("/v1/jobs").json()["jobs"][0]["status"] == "done")
        assert client.get("/v1/jobs").json()["jobs"][0]["kind"] == "undelete"
        assert answer(client) == "1384年"


def answer(client: httpx.Client) -> str | None:
    return client.post("/v1/ask", json={"query": "钟楼建于哪一年"}).json()["answer"]["value"]


def test_undelete_replaces_only_when_forced_and_keeps_what_it_replaces(config: Config) -> None:
    upload(config, "new.txt", b"one")
    upload(config, "new.txt", b"two", replace=True)
    file = config.base / "papers/new.txt"
    assert_fails(run_qa("undelete", "papers/new.txt", folder=config.base), 4, "is there already; add --force")
    assert_fails(run_qa("undelete", "papers/none.txt", folder=config.base), 4, "nothing is kept under this id or path")
    assert run_qa("undelete", str(file), "--force", folder=config.base).returncode == 0
    assert file.read_bytes() == b"one"
    assert run_qa("undelete", "papers/new.txt", "--force", folder=config.base).returncode == 0
    assert file.read_bytes() == b"two"
    assert [entry.reason for entry in CorpusEditor(config).trash.files()] == ["replaced"]
    run_qa("index", folder=config.base)
    with servers.serving(config) as client:  # it is an upload still
        finished(client, delete(client, listed(client)["papers/new.txt"]))


def test_a_folder_that_went_comes_back_and_a_collection_that_went_is_named(config: Config, tmp_path: Path) -> None:
    with CorpusEditor(config).upload() as sent:
        sent.folder = "deep/er"
        sent.begin("a.txt")
        sent.write(b"x")
        sent.end()
        sent.commit()
    run_qa("index", folder=config.base)
    engine = Engine(config)
    info = next(info for info in engine.documents() if info.path == "papers/deep/er/a.txt")
    CorpusEditor(config).delete(info)
    (config.base / "papers/deep/er").rmdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "config.yaml").write_text("corpus: [other]\n")
    assert_fails(run_qa("undelete", "papers/deep/er/a.txt", folder=tmp_path), 2, "no collection 'papers'")
    (tmp_path / "config.yaml").write_text("corpus: [papers]\n")
    assert run_qa("undelete", "papers/deep/er/a.txt", folder=tmp_path).returncode == 0
    assert (tmp_path / "papers/deep/er/a.txt").read_bytes() == b"x"


def test_a_link_comes_back_as_one_and_a_name_that_is_no_text_too(config: Config) -> None:
    link = config.base / "papers/link.txt"
    odd = Path(os.fsdecode(os.fsencode(str(config.base / "papers")) + b"/\xff.txt"))
    odd.write_bytes(b"odd")
    link.symlink_to("own.txt")
    editor = CorpusEditor(config)
    for file in (link, odd):
        editor.commit("delete", [Step(str(file), identity=identity(file))])
        assert not os.path.lexists(file)
        editor.undelete(str(file))
    assert (link.readlink(), odd.read_bytes(), editor.trashed()) == (Path("own.txt"), b"odd", [])


def test_of_several_who_bring_a_file_back_one_does(config: Config) -> None:
    own = config.base / "papers/own.txt"
    CorpusEditor(config).commit("delete", [Step(str(own), identity=identity(own))])

    def bring_back(_: int) -> str:
        try:
            CorpusEditor(config).undelete("papers/own.txt")
        except (ConflictError, DocumentNotFoundError) as exc:
            return str(exc)
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(bring_back, range(4)))
    assert (said[0], all(said[1:]), own.exists()) == ("", True, True)


def test_bounds_of_age_and_size(tmp_path: Path) -> None:
    trash = Trash(tmp_path, TrashConfig(max_days=1, max_mb=1))
    entries = []
    for number in range(4):
        file = tmp_path / f"{number}.txt"
        file.write_bytes(bytes([number]) * (400 << 10))
        entry = trash.keep(file, "papers", file.name, "deleted", "")
        assert entry is not None
        entries.append(entry)
        age = datetime.now(UTC) - timedelta(hours=20 - number)
        _set(trash, entry.id, trashed_at=age.isoformat())
    (tmp_path / "trash/half").write_bytes(b"x")  # a crash before its entry was written
    trash.prune()
    assert [entry.path for entry in trash.files()] == ["3.txt", "2.txt"]
    _set(trash, entries[2].id, trashed_at=(datetime.now(UTC) - timedelta(days=2)).isoformat())
    trash.prune()
    assert [entry.path for entry in trash.files()] == ["3.txt"]
    assert len(list((tmp_path / "trash").iterdir())) == 2
    large = tmp_path / "large.txt"
    large.write_bytes(bytes(2 << 20))
    assert trash.keep(large, "papers", "large.txt", "deleted", "") is None
    assert Trash(tmp_path, TrashConfig(max_days=0)).keep(tmp_path / "0.txt", "papers", "0.txt", "deleted", "") is None


def _set(trash: Trash, entry: str, **changed: str) -> None:
    file = trash.folder / f"{entry}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


# Does something again and again in a forked process, which ends at its first, second, … call that changes a folder or
# sends a file to the disk, as a kill would; looks each time at what is left. Prints how many places it was ended at.
_KILLED = """
import os, sys
from qa.configuration.config import load_config
from qa.editing.editor import CorpusEditor
from qa.editing.jobs import Step
from qa.editing.corpus import identity

config, what = load_config(sys.argv[1]), sys.argv[2]
own = config.base / "papers/own.txt"

def ending(call, left):
    def wrapped(*arguments, **options):
        left[0] -= 1
        if not left[0]:
            os._exit(9)
        return call(*arguments, **options)
    return wrapped

def act():
    editor = CorpusEditor(config)
    if what == "delete":
        editor.commit("delete", [Step(str(own), identity=identity(own))])
    elif what == "undelete":
        editor.undelete("papers/own.txt", force=True)
    else:
        with editor.upload() as sent:
            sent.replace = True
            sent.begin("own.txt")
            sent.write(b"two")
            sent.end()
            sent.commit()

def contents(editor):
    kept = {(editor.trash.folder / entry.id).read_bytes() for entry in editor.trash.files()}
    return kept | ({own.read_bytes()} if own.exists() else set())

wanted = contents(CorpusEditor(config))
ends = 0
while True:
    child = os.fork()
    if not child:
        left = [ends + 1]
        for name in ("link", "replace", "unlink", "fsync"):
            setattr(os, name, ending(getattr(os, name), left))
        act()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    editor = CorpusEditor(config)
    editor.start()
    assert wanted <= contents(editor), (ends, contents(editor))
    assert [path.name for path in own.parent.iterdir() if path != own] == [], ends
    if code == 0:
        break
    assert code == 9, code
    ends += 1
    if not own.exists():
        editor.undelete("papers/own.txt")
print(ends)
"""


@pytest.mark.parametrize("what", ["delete", "replace", "undelete"])
def test_nothing_is_lost_wherever_it_is_killed(config: Config, what: str) -> None:
    upload(config, "own.txt", b"before", replace=True)
    arguments = [str(config.base / "config.yaml"), what]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
