"""Bad input, damage and interruption: one line on stderr, the Contract's exit code, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from index.store.local import current_folder
from qa.api.addresses import listen
from qa.configuration.config import Config
from qa.errors import EXIT_FAILURE, EXIT_INDEX, EXIT_NO_ANSWER, EXIT_USAGE
from tests.conftest import CANONICAL, SEEDS
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.servers import make_corpus, wait_until

REBUILD = "qa index --rebuild"


@pytest.fixture
def base(seeds_config: Config) -> Path:
    return seeds_config.base


@pytest.fixture
def own(seeds_config: Config, tmp_path: Path) -> Path:
    """A copy of the indexed seeds to break."""
    folder = tmp_path / "own"
    shutil.copytree(seeds_config.base, folder)
    return folder


def index_folder(base: Path) -> Path:
    found = current_folder(base / "data")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", ""], "query: is empty"),
        (["ask", " \u3000\n"], "query: is empty"),
        (["search", ""], "query: is empty"),
        (["ask", "会" * 40_000], "query: has 40000 characters; at most 4000"),
        (["ask", b"\xff\xfe\x80"], "not UTF-8"),
        (["ask", "会", "--top-k", "0"], "top_k: must be from 1 to 100, not 0"),
        (["search", "会", "--top-k", "-1"], "top_k: must be from 1 to 100, not -1"),
        (["ask", "会", "--top-k", "1000"], "top_k: must be from 1 to 100, not 1000"),
        (["ask", "会", "--top-k", "x"], "--top-k"),
        (["ask"], "Missing argument"),
        (["ask", "会", "社"], "unexpected extra argument"),
        (["ask", "会", "--tpo-k", "1"], "--top-k"),
        (["aks", "会"], "No such command 'aks'"),
        (["--verbose"], "--verbose"),
        (["ask", "会", "--config", "missing.yaml"], "missing.yaml: No such file"),
        (["ask", "会", "--config", "seeds"], "seeds: Is a directory"),
        (["ask", "会", "--config", b"\xff.yaml"], "No such file"),
        (["index", "nowhere"], "nowhere: no such file or folder"),
        (["index", ".."], "lies outside the corpus"),
        (["eval", "missing.jsonl"], "missing.jsonl: No such file"),
        (["eval", "config.yaml"], "config.yaml:1: "),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--port", "70000"], "--port"),
        (["serve", "--host", "no such host"], "server.host"),
    ],
    ids=lambda found: None if isinstance(found, str) else " ".join(str(part)[:12] for part in found),
)
def test_bad_usage(base, arguments, words):
    assert_fails(run_qa(*arguments, folder=base), EXIT_USAGE, words)


def test_a_question_of_100_000_characters(base):
    # Letters: Linux takes at most 128 KiB in one argument, which 100,000 Chinese characters exceed.
    assert_fails(run_qa("ask", "a" * 100_000, folder=base), EXIT_USAGE, "query: has 100000 characters")


def test_no_command_shows_the_help(base):
    done = run_qa(folder=base)
    assert (done.returncode, done.stdout) == (EXIT_USAGE, "")
    assert done.stderr.startswith("Usage: qa [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("corpsu: [seeds]", "unknown key 'corpsu'; did you mean 'corpus'?"),
        ("server: {prot: 1}", "unknown key 'server.prot'; did you mean 'port'?"),
        ("server: {port: many}", "server.port: "),
        ("corpus: 7", "corpus: "),
        ("corpus: [", "is not valid YAML"),
        ("- corpus", "must hold `key: value` lines"),
        ("corpus: [missing]", "missing: no such folder; correct `corpus`"),
        ("encoder: {model: ./missing}", "encoder.model: cannot load './missing'"),
    ],
)
def test_bad_configuration(tmp_path, yaml, words):
    (tmp_path / "config.yaml").write_text(yaml, encoding="utf-8")
    done = run_qa("ask", "会", folder=tmp_path, HF_HUB_OFFLINE="1")
    assert_fails(done, EXIT_USAGE, words)


def test_bad_setting_in_the_environment(base):
    done = run_qa("ask", "会", folder=base, QA_SERVER_PORT="many")
    assert_fails(done, EXIT_USAGE, "got 'many' from QA_SERVER_PORT in the environment")


def test_a_variable_that_is_no_setting_is_warned_of(base):
    done = run_qa("search", "会", folder=base, QA_DATADIR="x")
    assert done.returncode == 0
    assert done.stderr == "qa: QA_DATADIR in the environment is no setting of cited-qa; ignored\n"


def test_unreadable_files_are_reported_and_the_rest_indexed(tmp_path):
    make_corpus(tmp_path, "papers")
    papers = tmp_path / "papers"
    (papers / "good.txt").write_text("鼓楼图书馆藏书52万册。\n", encoding="utf-8")
    (papers / "binary.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff")
    (papers / "empty.txt").write_bytes(b"")
    (papers / "dangling.txt").symlink_to(papers / "gone.txt")
    (papers / "away.txt").symlink_to("/etc/hostname")
    (papers / "report.docx").write_bytes(b"PK")
    os.mkfifo(papers / "pipe.txt")
    (papers / os.fsdecode(b"\xff[red].txt")).write_bytes(b"\x00")
    done = run_qa("index", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    *skipped, summary = done.stderr.splitlines()
    assert all(line.startswith("skipped ") for line in skipped)
    for name in ("binary.txt", "empty.txt", "dangling.txt", "away.txt", "report.docx", "pipe.txt", "[red].txt"):
        assert sum(name in line for line in skipped) == 1, name
    assert "indexed 1 documents" in summary and summary.endswith("7 skipped")
    assert run_qa("ask", "鼓楼图书馆有多少册书", folder=tmp_path).returncode == 0


def test_index_of_another_model(own):
    with closing(sqlite3.connect(index_folder(own) / "index.sqlite")) as connection, connection:
        (settings,) = connection.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
        made = json.dumps(json.loads(settings) | {"encoder": "bundled:of last year"})
        connection.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (made,))
    for command in (["ask", CANONICAL], ["index"]):
        assert_fails(run_qa(*command, folder=own), EXIT_INDEX, REBUILD)
    assert run_qa("doctor", folder=own).returncode != 0
    assert run_qa("index", "--rebuild", folder=own).returncode == 0
    assert "1097名" in run_qa("ask", CANONICAL, folder=own).stdout


def test_damaged_database(own):
    database = index_folder(own) / "index.sqlite"
    for file in database.parent.glob("index.sqlite*"):
        file.write_bytes(b"not a database" * 1000)
    for command in (["ask", CANONICAL], ["search", "会"], ["index"]):
        assert_fails(run_qa(*command, folder=own), EXIT_INDEX, REBUILD)
    done = run_qa("doctor", folder=own)
    assert done.returncode not in (0, EXIT_USAGE)
    assert "FAIL" in done.stdout and REBUILD in done.stdout
    assert run_qa("index", "--rebuild", folder=own).returncode == 0
    assert "1097名" in run_qa("ask", CANONICAL, folder=own).stdout


def test_truncated_database(own):
    database = index_folder(own) / "index.sqlite"
    size = database.stat().st_size
    assert size > 100_000
    os.truncate(database, size // 2)
    assert_fails(run_qa("ask", CANONICAL, folder=own), EXIT_INDEX, REBUILD)


@pytest.mark.parametrize(
    "derived", ["vectors.faiss", "vectors.json", "passages-rjieba/meta.json", "articles-rjieba/meta.json"]
)
@pytest.mark.parametrize("damage", ["overwritten", "removed"])
def test_damaged_derived_index_is_made_again(own, derived, damage):
    file = index_folder(own) / derived
    assert file.exists()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(b"\x00\xffbroken" * 50)
    done = run_qa("ask", CANONICAL, folder=own)
    assert done.returncode == 0, done.stderr
    assert "1097名" in done.stdout.splitlines()[0]
    assert run_qa("ask", CANONICAL, folder=own).stdout == done.stdout


def test_lost_index_is_made_again(own):
    shutil.rmtree(own / "data")
    done = run_qa("ask", CANONICAL, folder=own)
    assert done.returncode == 0
    assert "\nindexed 6 documents" in done.stderr


def test_second_writer(own):
    (own / "notes" / "new.txt").write_text("新馆藏书60万册。\n", encoding="utf-8")
    with FileLock(own / "data" / "write.lock"):
        assert_fails(run_qa("index", folder=own), EXIT_FAILURE, "another process is writing")
        assert_fails(run_qa("index", "--rebuild", folder=own), EXIT_FAILURE, "another process is writing")
        assert run_qa("ask", CANONICAL, folder=own).returncode == 0
    assert "1 added" in run_qa("index", folder=own).stderr


def test_port_in_use(base):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert_fails(run_qa("serve", "--port", str(port), folder=base), EXIT_USAGE, f"127.0.0.1:{port} is in use")


@pytest.mark.parametrize("yaml", ["corpsu: [seeds]", "corpus: [missing]", "data_dir: empty"])
def test_doctor_finds_what_is_broken(tmp_path, yaml):
    (tmp_path / "config.yaml").write_text(yaml, encoding="utf-8")
    done = run_qa("doctor", folder=tmp_path)
    assert done.returncode not in (0, EXIT_NO_ANSWER)
    assert done.stderr == ""
    assert "FAIL" in done.stdout


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_reader_that_leaves_early(base, options):
    command = [*COMMAND, "search", "工会", *options]
    with subprocess.Popen(
        command, cwd=base, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == EXIT_FAILURE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(base):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "search", "工会", "--json"],
            cwd=base,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == EXIT_FAILURE
    assert done.stderr.startswith("qa: ") and done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


def test_ctrl_c_while_indexing(tmp_path):
    make_corpus(tmp_path, "papers")
    for number in range(1000):
        shutil.copyfile(SEEDS / "000_ae71b4d254c1ee34.txt", tmp_path / "papers" / f"{number}.txt")
    with subprocess.Popen(
        [*COMMAND, "index"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: _documents_in(tmp_path) > 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (EXIT_FAILURE, "", "qa: interrupted\n")
    done = run_qa("ask", CANONICAL, folder=tmp_path)
    assert done.returncode == 0
    assert "1000 documents" in done.stderr
    assert " 0 unchanged" not in done.stderr  # what was done before the interruption is kept


def _documents_in(folder: Path) -> int:
    try:
        database = next((folder / "data").glob("index-*/index.sqlite"))
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute("SELECT count(*) FROM documents").fetchone()[0]
    except (StopIteration, sqlite3.OperationalError):
        return 0
