"""What the commands do when all is well."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest

from qa.configuration.config import Config
from tests.conftest import CANONICAL, ROOT
from tests.qa.commands import COMMAND, environment, run_qa
from tests.qa.servers import make_corpus

LANZHOU = "seeds/000_ae71b4d254c1ee34.txt"
UNANSWERABLE = "火星上的居民喜欢吃什么口味的冰淇淋"
PLACE = {
    "document_id": str,
    "path": str,
    "title": str,
    "heading_path": list,
    "page": (int, type(None)),
    "paragraph": int,
    "start": int,
    "end": int,
    "read_at": str,
    "stale": bool,
}
CITATION = PLACE | {"n": int, "quote": str, "url": str, "damaged": list}
HIT = PLACE | {
    "rank": int,
    "score": float,
    "passage_id": str,
    "collection": str,
    "text": str,
    "highlights": list,
    "damaged": list,
    "also_in": list,
    "explain": (dict, type(None)),
}
SEARCH = {"id": str, "query": str, "hits": list, "index": dict, "timings_ms": dict}
ASK = SEARCH | {
    "status": str,
    "reason": (str, type(None)),
    "interpreted_as": (str, type(None)),
    "missing_terms": list,
    "answer": (dict, type(None)),
    "citations": list,
}
ANSWER = {"text": str, "kind": str, "value": (str, type(None)), "confidence": float}
INDEX = {"generation": int, "model": str, "passages": int}


@pytest.fixture
def base(seeds_config: Config) -> Path:
    """The folder with the indexed seeds and their configuration."""
    return seeds_config.base


def assert_shaped(found: dict[str, Any], shape: dict[str, Any]) -> None:
    assert found.keys() == shape.keys()
    for key, kind in shape.items():
        assert isinstance(found[key], kind), key


def assert_exact(base: Path, place: dict[str, Any], quote: str) -> None:
    text = (base / place["path"]).read_bytes().decode("utf-8-sig")
    assert text[place["start"] : place["end"]] == quote


def test_answer_comes_first_then_where_it_stands(base):
    done = run_qa("ask", CANONICAL, folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    answer, citation, blank, first_hit, *_ = done.stdout.splitlines()
    assert "帮助1097名困难家庭子女圆了大学梦" in answer
    assert re.fullmatch(
        rf"\[1\] {re.escape(LANZHOU)} · .*兰州市总工会.* · paragraph \d+ · read [-0-9]+ [0-9:]+ UTC", citation
    )
    assert blank == ""
    assert first_hit.startswith(f"1. {LANZHOU} · ")
    assert "\x1b" not in done.stdout


def test_question_from_another_folder_and_in_traditional_characters(base, tmp_path):
    done = run_qa("ask", "蘭州幫扶中心資助了多少學生", "--config", base / "config.yaml", folder=tmp_path)
    assert done.returncode == 0
    assert "1097名" in done.stdout.splitlines()[0]
    assert list(tmp_path.iterdir()) == []


def test_json_of_an_answer_is_the_contract(base):
    done = run_qa("ask", CANONICAL, "--json", "--top-k", "3", folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert_shaped(found, ASK)
    assert_shaped(found["answer"], ANSWER)
    assert_shaped(found["index"], INDEX)
    assert (found["query"], found["status"], found["reason"]) == (CANONICAL, "answered", None)
    assert (found["answer"]["kind"], found["answer"]["value"]) == ("extractive", "1097名")
    assert 0 < found["answer"]["confidence"] <= 1
    assert [citation["n"] for citation in found["citations"]] == list(range(1, len(found["citations"]) + 1))
    for citation in found["citations"]:
        assert_shaped(citation, CITATION)
        assert_exact(base, citation, citation["quote"])
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    for hit in found["hits"]:
        assert_shaped(hit, HIT)
        assert_exact(base, hit, hit["text"])
    assert found["answer"]["text"] == found["citations"][0]["quote"]


def test_json_of_a_search(base):
    done = run_qa("search", CANONICAL, "--json", folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert_shaped(found, SEARCH)
    assert len(found["hits"]) == 5
    for hit in found["hits"]:
        assert_shaped(hit, HIT)
        assert_exact(base, hit, hit["text"])


def test_search_lists_passages(base):
    done = run_qa("search", "library books", "--top-k", "1", folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    place, text = done.stdout.splitlines()
    assert place.startswith("1. notes/library.md · The library · paragraph ")
    assert text.endswith("The reading room holds 4321 books 📚 and opens at nine.")


def test_explain_shows_the_parts_of_a_score(base):
    done = run_qa("ask", CANONICAL, "--explain", "--top-k", "1", folder=base)
    assert re.search(r"lexical \d\.\d\d · dense \d\.\d\d · article \d\.\d\d", done.stdout)
    assert re.search(r"points: words \d\.\d\d · ", done.stdout)
    assert "matched: 兰州、" in done.stdout
    assert "lexical" not in run_qa("ask", CANONICAL, folder=base).stdout


def test_no_answer_is_exit_code_1_with_the_reason(base):
    done = run_qa("ask", UNANSWERABLE, folder=base)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Not found in the documents: ")
    done = run_qa("ask", UNANSWERABLE, "--json", folder=base)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert_shaped(found, ASK)
    assert (found["status"], found["answer"], found["citations"]) == ("no_answer", None, [])
    assert found["reason"] in {"no_hits", "low_confidence", "missing_terms", "no_quantity"}


def test_first_question_indexes_and_the_next_does_not(tmp_path):
    make_corpus(tmp_path, "papers")
    (tmp_path / "papers" / "note.txt").write_text("鼓楼图书馆藏书52万册。\n", encoding="utf-8")
    first, second = (run_qa("ask", "鼓楼图书馆有多少册书", "--json", folder=tmp_path) for _ in range(2))
    assert first.stderr.startswith("indexed 1 documents, 1 passages in ")
    assert second.stderr == ""
    for done in (first, second):
        assert done.returncode == 0
        assert json.loads(done.stdout)["answer"]["value"] == "52万册"


def test_index_reads_only_what_changed(tmp_path):
    make_corpus(tmp_path, "papers")
    for name in "abc":
        (tmp_path / "papers" / f"{name}.txt").write_text(f"{name}馆藏书52万册。\n", encoding="utf-8")
    assert "3 added, 0 changed, 0 removed, 0 unchanged" in run_qa("index", folder=tmp_path).stderr
    again = run_qa("index", folder=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert "0 added, 0 changed, 0 removed, 3 unchanged, 0 skipped" in again.stderr
    (tmp_path / "papers" / "a.txt").unlink()
    (tmp_path / "papers" / "b.txt").write_text("馆藏书60万册。\n", encoding="utf-8")
    assert "0 added, 1 changed, 0 removed, 0 unchanged" in run_qa("index", "papers/b.txt", folder=tmp_path).stderr
    assert "0 added, 0 changed, 1 removed, 2 unchanged" in run_qa("index", folder=tmp_path).stderr
    rebuilt = run_qa("index", "--rebuild", folder=tmp_path)
    assert "2 added, 0 changed, 0 removed, 0 unchanged" in rebuilt.stderr
    assert run_qa("search", "藏书", folder=tmp_path).stdout.startswith("1. papers/")


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first questions of the shipped file."""
    lines = (ROOT / "benchmarks" / "union_questions.jsonl").read_text(encoding="utf-8").splitlines()
    file = tmp_path_factory.mktemp("questions") / "few.jsonl"
    file.write_text("\n".join(lines[:6]) + "\n\n", encoding="utf-8")
    return file


def test_evaluation_as_a_table(base, questions):
    done = run_qa("eval", questions, folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("6 questions\n")
    header = next(line for line in done.stdout.splitlines() if "hit@1" in line)
    columns = ["kind", "n", "hit@1", "hit@5", "MRR", "nDCG", "recall", "answer", "value", "refused", "wrongly"]
    assert header.split() == columns
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r" [a-z]+ +\d", line)]
    assert [row[0] for row in rows] == ["money", "number", "organisation", "all"]
    assert all(len(row) == len(columns) for row in rows)
    assert re.search(r"citations exact: (\d+) of \1 +latency p50 [\d.]+ ms, p99 [\d.]+ ms", done.stdout)


def test_evaluation_as_json(base, questions):
    done = run_qa("eval", questions, "--json", folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["questions"] == found["total"]["n"] == len(found["outcomes"]) == 6
    assert found["outcomes"][0]["question"] == CANONICAL
    assert found["outcomes"][0]["value_right"] is True
    assert found["citations"] == found["citations_exact"] > 0


def test_doctor_is_content(base):
    done = run_qa("doctor", folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())
    for name in ("python", "segmenter", "configuration", "collection seeds", "database", "index", "self-test"):
        assert re.search(rf"^ok    {name}: ", done.stdout, re.MULTILINE), name


def test_server_answers_and_ends_on_ctrl_c(base):
    command = [*COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=base, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline()).group()
            found = httpx.get(f"{address}/v1/ask", params={"q": CANONICAL}, timeout=60).json()
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=60)
        finally:
            server.kill()
    assert found["answer"]["value"] == "1097名"
    assert (server.returncode, out) == (0, "")
    assert [json.loads(line)["route"] for line in err.splitlines()] == ["/v1/ask"]


@pytest.mark.parametrize("arguments", [[], ["ask"], ["index"], ["eval"]], ids=lambda found: " ".join(found) or "qa")
def test_help(tmp_path, arguments):
    done = run_qa(*arguments, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: qa")


# All that a warm `qa ask` may load; the reason for the bound is the time a command takes to start.
MAY_LOAD = {
    "annotated_doc",
    "annotated_types",
    "dotenv",
    "faiss",
    "filelock",
    "marisa_trie",
    "numpy",
    "opencc",
    "packaging",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "rich",
    "rjieba",
    "shellingham",
    "tantivy",
    "threadpoolctl",
    "typer",
    "typing_extensions",
    "typing_inspection",
    "yaml",
    "zstandard",
}
MODULES = """
import sys
from qa.cli.main import main
sys.argv = ["qa", *sys.argv[1:]]
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["ask", "search"])
def test_a_question_imports_little(base, command):
    """No torch, web server, HTTP client or slow segmenter, and neither a language model's library nor the map's."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES, command, CANONICAL],
        cwd=base,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    loaded = {name for name in set(done.stderr.split()) & set(packages_distributions()) if not name.startswith("_")}
    assert "faiss" in loaded and loaded - MAY_LOAD == {"index", "qa"}
