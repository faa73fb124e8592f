"""BEIR folders and SQuAD-style files are read, indexed apart, and measured."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from index.errors import QueryError
from qa.evaluation.datasets import document_names, engine_over, load_dataset
from qa.evaluation.evaluate import EvalQuestion, Evaluation, evaluate
from tests.qa.commands import assert_fails, run_qa

CORPUS: list[dict[str, Any]] = [
    {"_id": "lake", "title": "镜湖", "text": "镜湖水面有320公顷,最深处18米。"},
    {"_id": "tower", "title": "钟楼", "text": "钟楼建于明代,高27米。"},
    {"_id": "bridge", "title": "", "text": "石拱桥由工匠李岳主持修建,1612年完工。", "metadata": {}},
    {"_id": "copy", "title": "钟楼旧闻", "text": "钟楼在1933年重修,花费银元4200块。"},
]
QUERIES = [
    {"_id": "q1", "text": "镜湖最深多少米"},
    {"_id": "q2", "text": "钟楼的历史"},
    {"_id": "copy", "text": "钟楼在1933年重修"},
    {"_id": "q9", "text": "没有评过的问题"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\tlake\t1\nq2\ttower\t2\nq2\tcopy\t1\nq2\tbridge\t0\ncopy\ttower\t1\n"


def lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(found, ensure_ascii=False) + "\n" for found in objects)


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(lines(*CORPUS), encoding="utf-8")
    (folder / "queries.jsonl").write_text(lines(*QUERIES), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(QRELS, encoding="utf-8")
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq9\tlake\t1\n", encoding="utf-8")
    return folder


def squad(*questions: dict[str, Any], context: str = CORPUS[0]["text"]) -> dict[str, Any]:
    return {"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}


@pytest.fixture
def squad_file(tmp_path: Path) -> Path:
    answers = [{"text": "18米", "answer_start": 13}, {"text": "18米", "answer_start": 13}]
    first = squad({"id": "1", "question": "镜湖最深多少米", "answers": answers})
    second = squad(
        {"id": "2", "question": "石拱桥哪一年完工", "answers": [{"text": "1612年", "answer_start": 13}]},
        {"id": "3", "question": "敦煌的月牙泉有多深", "answers": [], "is_impossible": True, "plausible_answers": []},
        context=CORPUS[2]["text"],
    )
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"version": "v2.0", "data": [first, second, first]}), encoding="utf-8")
    return file


def measured(file: Path, config: Path | None = None) -> Evaluation:
    from qa.configuration.config import load_config

    dataset = load_dataset(file)
    assert dataset.documents
    with engine_over(dataset.documents, load_config(config)) as engine:
        return evaluate(engine, dataset.questions, names=document_names(dataset.documents))


def test_beir_folder(beir):
    dataset = load_dataset(beir)
    assert dataset.documents and list(dataset.documents) == ["lake", "tower", "bridge", "copy"]
    assert dataset.documents["lake"] == "镜湖\n\n镜湖水面有320公顷,最深处18米。"
    assert dataset.documents["bridge"] == CORPUS[2]["text"]
    assert dataset.questions == [
        EvalQuestion(question="镜湖最深多少米", relevant={"lake": 1}, itself="q1"),
        EvalQuestion(question="钟楼的历史", relevant={"tower": 2, "copy": 1}, itself="q2"),
        EvalQuestion(question="钟楼在1933年重修", relevant={"tower": 1}, itself="copy"),
    ]
    dev = load_dataset(beir / "qrels" / "dev.tsv")
    assert [question.question for question in dev.questions] == ["没有评过的问题"]


def test_beir_is_measured_by_documents_and_grades(beir):
    found = measured(beir)
    lake, tower, itself = found.outcomes
    assert (lake.rank, lake.ndcg, lake.recall) == (1, 1.0, 1.0)
    assert tower.recall == 1.0
    orders = {(2, 1): 1.0, (1, 2): (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))}
    assert any(tower.ndcg == pytest.approx(value) for value in orders.values())
    # The document that the question was made of is passed over.
    assert itself.rank == 1
    assert found.total.hit_at_1 == found.total.recall_at_10 == 1.0
    assert found.total.answer_accuracy is None
    assert found.citations == found.citations_exact > 0


def test_squad_file(squad_file):
    dataset = load_dataset(squad_file)
    assert list(dataset.documents.values()) == [CORPUS[0]["text"], CORPUS[2]["text"]]
    assert [question.answers for question in dataset.questions] == [["18米"], ["1612年"], [], ["18米"]]
    assert [question.is_answerable for question in dataset.questions] == [True, True, False, True]
    assert [question.kind for question in dataset.questions][2] == "unanswerable"
    assert dataset.questions[0].relevant == {"0": 1}


def test_squad_is_measured_with_answers_and_refusals(squad_file):
    found = measured(squad_file)
    assert [kind.kind for kind in found.kinds] == ["answerable", "unanswerable"]
    assert found.total.hit_at_1 == found.total.answer_accuracy == found.total.value_accuracy == 1.0
    assert (found.total.refused_right, found.total.refused_wrong) == (1.0, 0.0)
    assert sum(tenth.n for tenth in found.reliability) == 3
    assert all(tenth.low <= tenth.said <= tenth.low + 0.1 and tenth.was == 1.0 for tenth in found.reliability)


def test_on_the_command_line_without_touching_the_configured_index(beir, squad_file, tmp_path):
    (tmp_path / "home" / "docs").mkdir(parents=True)
    (tmp_path / "home" / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    for file in (beir, squad_file):
        done = run_qa("eval", file, "--json", folder=tmp_path / "home")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["total"]["hit_at_1"] == 1.0
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["config.yaml", "docs"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("corpus.jsonl", "{", r"corpus\.jsonl:1: "),
        ("corpus.jsonl", '{"_id": "a"}', r"corpus\.jsonl:1: text: is missing"),
        ("corpus.jsonl", '{"_id": 3, "text": "x"}', r"corpus\.jsonl:1: _id: must be a string"),
        ("queries.jsonl", "\n[]", r"queries\.jsonl:2: "),
        ("queries.jsonl", '{"_id": "other", "text": "x"}', "no question of queries.jsonl is judged"),
        ("qrels/test.tsv", "q1 lake 1\n", r"test\.tsv:1: must be a question's id"),
        ("qrels/test.tsv", "q1\tlake\thigh\n", r"test\.tsv:1: must be"),
    ],
)
def test_a_bad_beir_file_is_named(beir, name, text, words):
    (beir / name).write_text(text, encoding="utf-8")
    with pytest.raises(QueryError, match=words) as caught:
        load_dataset(beir)
    assert "\n" not in str(caught.value)


def test_folders_that_are_not_beir(tmp_path):
    with pytest.raises(QueryError, match=r"holds no qrels/\*\.tsv"):
        load_dataset(tmp_path)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("q\td\t1\n")
    with pytest.raises(QueryError, match=r"corpus\.jsonl: No such file"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "squad.json: "),
        ("[]", "squad.json: "),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "data.0.paragraphs.0.context: "),
        ('{"data": []}', "holds no questions"),
    ],
)
def test_a_bad_squad_file_is_named(tmp_path, text, words):
    file = tmp_path / "squad.json"
    file.write_text(text, encoding="utf-8")
    assert_fails(run_qa("eval", file, folder=tmp_path), 2, words)
