"""Backup and restore: while serving and indexing, to another place, over what differs, from damaged archives."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.errors import ConfigError, IndexBusyError, IndexDamagedError, IndexMissingError, ReadError
from index.store.local import current_folder
from qa.archives.backup import backup
from qa.archives.manifest import NAME
from qa.archives.restore import restore
from qa.configuration.config import Config, load_config
from qa.editing.editor import CorpusEditor
from qa.editing.staging import RESTORE, Staging, draft_beside
from qa.engine import Engine
from qa.errors import EXIT_FAILURE, EXIT_USAGE
from tests.conftest import CANONICAL
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.servers import make_corpus, serving, wait_until

MEMBER = "documents/2-notes/library.md"


@pytest.fixture(scope="module")
def archive(seeds_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "backup.zip"
    backup(seeds_config, file)
    return file


@pytest.fixture
def own(seeds_config: Config, tmp_path: Path) -> Config:
    """A copy of the indexed seeds to change."""
    folder = tmp_path / "own"
    shutil.copytree(seeds_config.base, folder)
    return load_config(folder / "config.yaml")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file, but for SQLite's and the lock's traces of having been opened."""
    passing = ("-wal", "-shm", ".lock")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(passing)
    }


def rewritten(archive: Path, target: Path, change: Callable[[str, bytes], Iterator[tuple[str, bytes]]]) -> Path:
    """A copy of an archive, each member as `change` gives it."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            for changed, content in change(name, old.read(name)):
                new.writestr(changed, content)
    return target


def with_entry(**changes: object) -> Callable[[str, bytes], Iterator[tuple[str, bytes]]]:
    """Change what the manifest says of one document."""

    def change(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
        if name == NAME:
            lines = [json.loads(line) for line in content.splitlines()]
            lines = [line | changes if line.get("name") == MEMBER else line for line in lines]
            content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        yield name, content

    return change


def test_restore_into_an_empty_folder_works(archive: Path, tmp_path: Path) -> None:
    done = run_qa("restore", archive, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "6 documents" in done.stderr and "6 files of documents put back, 0 were there" in done.stderr
    found = json.loads(run_qa("ask", CANONICAL, "--json", folder=tmp_path).stdout)
    assert found["answer"]["value"] == "1097名"
    assert not found["citations"][0]["stale"]
    assert run_qa("doctor", folder=tmp_path).returncode == 0
    assert "6 unchanged" in run_qa("index", folder=tmp_path).stderr
    assert not list(tmp_path.rglob(".cited-qa-*"))


def test_folders_elsewhere_come_to_lie_beside_the_configuration(tmp_path: Path) -> None:
    make_corpus(tmp_path / "away", "seeds")
    here = tmp_path / "here"
    here.mkdir()
    words = tmp_path / "away" / "words.txt"
    words.write_text("金秋助学 5 n\n", encoding="utf-8")
    (here / "config.yaml").write_text(f"corpus: {{speeches: {tmp_path}/away/seeds}}\ndictionary: {words}\n")
    (tmp_path / "away/seeds/bad.exe").write_bytes(b"MZ")
    config = load_config(here / "config.yaml")
    Engine(config).index()
    backup(config, tmp_path / "b.zip")
    shutil.rmtree(tmp_path / "away")
    (tmp_path / "new").mkdir()
    report = restore(tmp_path / "b.zip", tmp_path / "new" / "config.yaml")
    assert report.remark == ""
    assert (tmp_path / "new/dictionary.txt").is_file()
    engine = Engine.open(tmp_path / "new" / "config.yaml")
    cited = engine.ask(CANONICAL).citations[0]
    assert cited.path.startswith("documents/speeches/000_") and not cited.stale
    assert engine.report().skipped[0].path == "documents/speeches/bad.exe"
    again = engine.index()
    assert (again.unchanged, again.added, again.changed, again.removed) == (5, [], [], [])


def test_without_documents_questions_are_answered_from_the_index(seeds_config: Config, tmp_path: Path) -> None:
    assert run_qa("backup", tmp_path / "b.zip", "--no-documents", folder=seeds_config.base).returncode == 0
    new = tmp_path / "new"
    new.mkdir()
    report = restore(tmp_path / "b.zip", new / "config.yaml")
    assert report.documents == 0 and not (new / "seeds").exists()
    found = Engine(report.config).ask(CANONICAL)
    assert found.answer is not None and found.answer.value == "1097名" and found.citations[0].stale


def test_a_running_server_moves_to_what_is_restored(own: Config, archive: Path) -> None:
    with serving(own) as client:
        (own.base / "notes" / "zebra.txt").write_text("斑马馆在二零二五年接待了777名游客。", encoding="utf-8")
        Engine(own).index()

        def documents() -> int:
            return len(client.get("/v1/documents").json()["documents"])

        wait_until(lambda: documents() == 7)
        generation = client.get("/readyz").json()["index"]["generation"]
        restore(archive, own.file)
        assert documents() == 6
        found = client.get("/v1/ask", params={"q": CANONICAL}).json()
        assert found["answer"]["value"] == "1097名" and found["index"]["generation"] > generation
        (cited,) = found["citations"]
        span = {"start": cited["start"], "end": cited["end"]}
        assert client.get(f"/v1/documents/{cited['document_id']}/text", params=span).text == cited["quote"]


def test_a_backup_while_another_process_indexes_is_one_state(tmp_path: Path) -> None:
    make_corpus(tmp_path, "papers")
    for number in range(60):
        (tmp_path / "papers" / f"{number}.txt").write_text(f"第{number}号文件说到{number * 7}件事。\n\n" * 20)
    run_qa("index", folder=tmp_path)
    config = load_config(tmp_path / "config.yaml")
    (tmp_path / "papers" / "1.txt").unlink()
    indexing = subprocess.Popen(
        [*COMMAND, "index", "--rebuild"], cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
    )
    made: list[Path] = []
    while indexing.poll() is None:
        made.append(tmp_path / f"{len(made)}.zip")
        backup(config, made[-1])
    assert made
    for file in (made[0], made[-1]):
        new = tmp_path / f"new-{file.stem}"
        new.mkdir()
        report = restore(file, new / "config.yaml")
        assert report.header.documents in (59, 60)
        engine = Engine(report.config)
        assert len(engine.documents()) == report.header.documents
        assert engine.store.check() == "ok"
        assert engine.index().documents == 59


def test_documents_that_differ_are_replaced_with_force_only(own: Config, archive: Path) -> None:
    changed = own.base / "notes" / "library.md"
    original = changed.read_bytes()
    changed.write_text("# Changed\n")
    before = tree(own.base)
    assert_fails(
        run_qa("restore", archive, folder=own.base), EXIT_USAGE, "library.md: differ from the backup; add --for"
    )
    assert tree(own.base) == before
    report = restore(archive, own.file, force=True)
    assert (report.documents, report.present) == (1, 5)
    assert changed.read_bytes() == original


def test_jobs_stay_with_the_server_that_was_asked(own: Config, tmp_path: Path) -> None:
    jobs = own.index_dir / "jobs.sqlite"
    jobs.write_bytes(b"mine")
    backup(own, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", own.file)
    assert jobs.read_bytes() == b"mine"
    (tmp_path / "new").mkdir()
    report = restore(tmp_path / "b.zip", tmp_path / "new" / "config.yaml")
    assert not (report.config.index_dir / "jobs.sqlite").exists()


def test_what_stands_in_the_way(own: Config, archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "there.zip"
    file.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="is there already; give another name, or --force"):
        backup(own, file)
    assert backup(own, file, force=True).size == file.stat().st_size > 1000
    assert file.stat().st_mode & 0o077 == 0
    for place in (own.base / "seeds" / "b.zip", own.index_dir / "b.zip"):
        with pytest.raises(ConfigError, match="where it would be indexed or removed"):
            backup(own, place)
    with pytest.raises(ConfigError, match="no such folder"):
        backup(own, tmp_path / "no" / "b.zip")
    with pytest.raises(IndexMissingError):
        backup(make_corpus(tmp_path / "fresh", "notes"), tmp_path / "fresh.zip")
    assert not (tmp_path / "fresh.zip").exists()
    with FileLock(own.index_dir / "write.lock"), pytest.raises(IndexBusyError):
        restore(archive, own.file)
    with pytest.raises(ConfigError, match="no collection 'notes'"):
        (own.base / "config.yaml").write_text("corpus: [seeds]\n")
        restore(archive, own.file)


def test_files_that_cannot_be_kept_are_named(own: Config, tmp_path: Path) -> None:
    (own.base / "notes" / "out.txt").symlink_to("/etc/hostname")
    (own.base / "notes" / "\udcff.txt").write_text("x")
    left_out = backup(own, tmp_path / "b.zip").left_out
    assert len(left_out) == 2
    assert left_out[0].startswith("notes/out.txt: a link out of the corpus") and "not UTF-8" in left_out[1]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"path": "../escaped.md"}, "leads out of its folder"),
        ({"path": "/tmp/escaped.md"}, "leads out of its folder"),
        ({"path": "a/../../escaped.md"}, "leads out of its folder"),
        ({"path": ""}, "has no place here"),
        ({"path": "."}, "has no place here"),
        ({"sha256": "0" * 64}, "is not what was backed up"),
        ({"size": 3}, "is larger than its manifest says"),
        ({"size": 10**15}, "is not what was backed up"),
        ({"collection": "strange"}, "has no collection 'strange'"),
        ({"role": "device"}, "its manifest can't be used"),
        ({"name": "index.sqlite/x"}, "lacks index.sqlite/x"),
    ],
    ids=str,
)
def test_wicked_archives_change_nothing(
    own: Config, archive: Path, tmp_path: Path, changes: dict[str, object], error: str
) -> None:
    wicked = rewritten(archive, tmp_path / "wicked.zip", with_entry(**changes))
    (own.base / "notes" / "library.md").unlink()
    for folder in (own.base, tmp_path / "empty"):
        folder.mkdir(exist_ok=True)
        before = tree(folder)
        done = run_qa("restore", wicked, folder=folder) if "sha256" in changes else None
        if done:
            assert_fails(done, EXIT_FAILURE, error)
        else:
            with pytest.raises((ReadError, ConfigError), match=error):
                restore(wicked, folder / "config.yaml")
        assert tree(folder) == before
    assert not list(tmp_path.rglob("escaped.md"))


def test_links_in_the_corpus_are_not_followed_out_of_it(own: Config, archive: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(own.base / "notes", outside)
    (own.base / "notes").mkdir()
    (own.base / "notes" / "sub").symlink_to(outside)
    inside = rewritten(archive, tmp_path / "b.zip", with_entry(path="sub/new.md"))
    with pytest.raises(ConfigError, match="leads out of the corpus"):
        restore(inside, own.file)
    assert [path.name for path in outside.iterdir()] == ["library.md"]


def test_a_configuration_that_leads_elsewhere_is_not_followed(archive: Path, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
        if name == NAME:
            header, *lines = (json.loads(line) for line in content.splitlines())
            header["collections"]["../../up"] = {"folder": "/etc", "shown": "/etc/"}
            content = b"".join(json.dumps(line).encode() + b"\n" for line in (header, *lines))
        yield name, content

    target = tmp_path / "new" / "config.yaml"
    target.parent.mkdir()
    with pytest.raises(ConfigError, match="lies outside"):
        restore(rewritten(archive, tmp_path / "b.zip", change), target)
    assert list(target.parent.iterdir()) == []


def test_other_files_are_no_backups(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a.txt", "a")
    extra = rewritten(archive, tmp_path / "extra.zip", lambda name, content: iter([(name, content), (f"x{name}", b"")]))
    for file, words in (
        (tmp_path / "missing.zip", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "text.zip", "no backup"),
        (tmp_path / "other.zip", "is no backup of cited-qa"),
        (extra, "holds other files than its manifest names"),
    ):
        with pytest.raises(ReadError, match=words):
            restore(file, tmp_path / "config.yaml")
    assert not (tmp_path / "config.yaml").exists() and not (tmp_path / "data").exists()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_restores_the_same_or_nothing(archive: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(archive.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for place in data.draw(st.lists(st.integers(-3000, len(content) - 3001), min_size=1, max_size=4)):
            content[place] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(content)
    folder = tmp_path / "target"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        report = restore(damaged, folder / "config.yaml")
    except (ReadError, ConfigError) as exc:
        assert "\n" not in str(exc)
        assert list(folder.iterdir()) == []
    else:
        assert (report.documents, report.remark) == (6, "")


def test_killed_backups_leave_no_file_and_killed_restores_the_old_state(own: Config, tmp_path: Path) -> None:
    chance = random.Random(6)
    papers = own.base / "notes"
    for number in range(40):
        (papers / f"{number}.txt").write_text(f"第{number}号文件说到{number * 7}件事。\n\n" * 40, encoding="utf-8")
    Engine(own).index()
    whole = tmp_path / "whole.zip"
    backup(own, whole)
    shutil.copytree(own.base, tmp_path / "other")
    other = load_config(tmp_path / "other" / "config.yaml")
    for path in (tmp_path / "other" / "notes").glob("?.txt"):
        path.unlink()
    Engine(other).index()
    for _ in range(2):
        killed(chance.uniform(0.4, 1.0), "backup", tmp_path / "killed.zip", folder=own.base)
        if (tmp_path / "killed.zip").exists():
            with zipfile.ZipFile(tmp_path / "killed.zip") as complete:
                assert complete.testzip() is None
        killed(chance.uniform(0.4, 1.4), "restore", whole, folder=other.base)
        assert len(Engine(other).documents()) in (36, 46)
        assert run_qa("doctor", folder=other.base).returncode == 0
    backup(own, tmp_path / "killed.zip", force=True)
    assert not list(tmp_path.glob(".killed.zip.*"))
    restore(whole, other.file)
    assert len(Engine(other).documents()) == 46
    assert not list(other.base.rglob(".cited-qa-*"))


@pytest.mark.parametrize("start", ["restore", "serve", "index"])
def test_what_a_killed_restore_left_goes_at_the_next_start(
    own: Config, archive: Path, tmp_path: Path, start: str
) -> None:
    places = [own.base, own.index_dir, own.corpus_folders["seeds"]]
    script = (
        "import os, sys; from pathlib import Path; from qa.editing.staging import *\n"
        "for place in sys.argv[1:]:\n"
        "    folder = Staging(Path(place), RESTORE).folder; (folder / '1').touch(); draft_beside(folder).touch()\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, *places], check=False)
    assert len(list(own.base.rglob(".cited-qa-restore-*"))) == 6
    used = Staging(own.base, RESTORE)
    (used.folder / "1").touch()
    draft_beside(used.folder).touch()
    if start == "restore":
        restore(archive, own.file, force=True)
    elif start == "index":
        assert run_qa("index", folder=own.base).returncode == 0
    else:
        CorpusEditor(own).start()
    assert sorted(own.base.rglob(".cited-qa-restore-*")) == [used.folder, draft_beside(used.folder)]
    assert sorted(path.name for path in used.folder.iterdir()) == [".lock", "1"]
    used.close()


def killed(delay_s: float, *arguments: str | Path, folder: Path) -> None:
    process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_a_database_of_another_make_is_refused(own: Config, archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    with zipfile.ZipFile(archive) as made:
        made.extract("index.sqlite", tmp_path)
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TRIGGER strange AFTER INSERT ON meta BEGIN DELETE FROM passages; END")
    connection.close()
    content = file.read_bytes()

    def change(name: str, old: bytes) -> Iterator[tuple[str, bytes]]:
        if name == NAME:
            lines = [json.loads(line) for line in old.splitlines()]
            sums = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            lines = [line | sums if line.get("name") == "index.sqlite" else line for line in lines]
            old = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        yield name, content if name == "index.sqlite" else old

    before = tree(own.base)
    with pytest.raises(ReadError, match="tables of another make"):
        restore(rewritten(archive, tmp_path / "b.zip", change), own.file)
    assert tree(own.base) == before
    shutil.copy(file, current_folder(own.index_dir) / "index.sqlite")  # type: ignore[operator]
    with pytest.raises(IndexDamagedError, match="run: qa index --rebuild"):
        backup(own, tmp_path / "own.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with zipfile.ZipFile(archive) as made:
        needed = sum(member.file_size for member in made.infolist())
    assert needed < free
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(needed, 0, needed))
    with pytest.raises(ConfigError, match="make room"):
        restore(archive, tmp_path / "config.yaml")
    assert list(tmp_path.iterdir()) == []
