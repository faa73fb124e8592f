"""The seeds answer alike in whatever format they come; `benchmarks/formats.py` asks all the questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa.configuration.config import load_config
from qa.engine import Engine
from qa.evaluation.evaluate import load_questions, squeeze
from tests.conftest import CANONICAL, ROOT
from tests.index.parsing.seeds import FORMATS, write_seeds

QUESTIONS = [
    question for question in load_questions(ROOT / "benchmarks" / "union_questions.jsonl") if question.evidence
][::3]


def hits_at_1(base: Path, format_name: str) -> list[bool]:
    write_seeds(base / "seeds", format_name)
    (base / "config.yaml").write_text("corpus: [seeds]\n", encoding="utf-8")
    engine = Engine(load_config(base / "config.yaml"))
    report = engine.index()
    assert (report.documents, report.skipped) == (5, [])
    assert engine.ask(CANONICAL).answer.value == "1097名"
    found = []
    for question in QUESTIONS:
        (hit,) = engine.search(question.question, top_k=1).hits
        assert engine.document(hit.document_id).text[hit.start : hit.end] == hit.text
        found.append(any(squeeze(part) in squeeze(hit.text) for part in question.evidence))
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> float:
    found = hits_at_1(tmp_path_factory.mktemp("plain"), "plain")
    return sum(found) / len(found)


@pytest.mark.parametrize("format_name", [name for name in FORMATS if name != "plain"])
def test_hit_at_1_is_that_of_the_plain_files(format_name, plain, tmp_path):
    found = hits_at_1(tmp_path, format_name)
    assert sum(found) / len(found) >= plain - 0.02
