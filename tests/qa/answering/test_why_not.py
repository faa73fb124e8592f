"""What a score is made of, and why a document is not first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index.errors import DocumentNotFoundError, QueryError
from qa.configuration.config import load_config
from qa.engine import Engine
from tests.qa.commands import assert_fails, run_qa

REPORT = "青川县图书馆2019年工作总结\n\n去年以来全馆职工共同努力。\n\n全年接待读者38万人次,外借图书21万册。\n"
QUESTION = "青川县图书馆2019年接待了多少读者"
DOCUMENTS = {
    "青川县图书馆年报.txt": REPORT,
    "平武县图书馆.txt": "平武县图书馆工作总结\n\n平武县图书馆2019年接待了读者12万人次,读者满意率很高。\n",
    "水库.txt": "北山水库管理处年报\n\n水库总库容3200万立方米,灌溉面积5万亩。\n",
    "抄件/青川.txt": REPORT,
    "garden.md": "# The garden\n\nRoses bloom in June.\n",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    base = tmp_path_factory.mktemp("libraries")
    for name, text in DOCUMENTS.items():
        (base / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "docs" / name).write_text(text, encoding="utf-8")
    (base / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    engine = Engine(load_config(base / "config.yaml"))
    engine.index()
    return engine


@pytest.mark.parametrize("question", [QUESTION, "水库的灌溉面积有多大", "when do roses bloom"])
def test_points_add_up_to_the_score(engine, question):
    for hit in engine.search(question, top_k=10, explain=True).hits:
        assert sum(hit.explain.points.values()) == pytest.approx(hit.score, abs=0.001)


def test_words_are_matched_elsewhere_or_missing(engine):
    hits = {hit.path: hit.explain for hit in engine.search(QUESTION, top_k=10, explain=True).hits}
    right, other = hits["docs/青川县图书馆年报.txt"], hits["docs/平武县图书馆.txt"]
    assert "青川县" in right.matched
    assert "青川县" in other.missing
    assert "图书馆" in other.matched
    for parts in hits.values():
        words = [*parts.matched, *parts.in_article, *parts.missing]
        assert len(words) == len(set(words)) == len([*right.matched, *right.in_article, *right.missing])


def test_a_document_that_matches_the_words_better_is_behind_because_of_its_name(engine):
    found = engine.why_not("docs/平武县图书馆.txt", QUESTION)
    assert found.rank > 1
    assert found.first.path == "docs/青川县图书馆年报.txt"
    assert found.best.path == found.path == "docs/平武县图书馆.txt"
    assert found.best.rank == found.rank
    assert any("青川" in reason for reason in found.reasons)
    assert set(found.first.explain.points) == set(found.best.explain.points)


def test_the_first_document_is_told_so(engine):
    found = engine.why_not("青川县图书馆年报.txt", QUESTION)
    assert found.rank == 1
    assert found.reasons == ["It is first; nothing is ahead of it."]


def test_a_copy_is_named(engine):
    found = engine.why_not("docs/抄件/青川.txt", QUESTION)
    assert found.reasons[0].startswith(
        "A nearly identical passage stands for it: docs/青川县图书馆年报.txt, paragraph "
    )


def test_each_part_that_makes_the_difference_is_said_largest_first(engine):
    found = engine.why_not("水库.txt", QUESTION)
    leads = [float(reason.rpartition("(+")[2].rstrip(").")) for reason in found.reasons if "(+" in reason]
    assert len(leads) >= 2
    assert leads == sorted(leads, reverse=True)


def test_document_by_id_and_by_absolute_path(engine):
    (info,) = [info for info in engine.documents() if info.path == "docs/水库.txt"]
    by_path = engine.why_not(str(engine.config.base / "docs" / "水库.txt"), "水库")
    assert engine.why_not(info.id, "水库") == by_path
    assert by_path.document_id == info.id


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("docs/水厍.txt", "no document has the path or id 'docs/水厍.txt'; the nearest: docs/水库.txt"),
        ("图书馆", "the nearest: docs/平武县图书馆.txt, docs/青川县图书馆年报.txt"),
        ("zzz", "the nearest: docs/"),
        ("", "the nearest: docs/"),
    ],
)
def test_an_unknown_document_lists_the_nearest(engine, named, words):
    with pytest.raises(DocumentNotFoundError) as caught:
        engine.why_not(named, QUESTION)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_name_that_several_have(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "docs" / folder).mkdir(parents=True)
        (tmp_path / "docs" / folder / "note.txt").write_text(f"{folder}馆藏书52万册。\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    engine = Engine(load_config(tmp_path / "config.yaml"))
    engine.index()
    with pytest.raises(DocumentNotFoundError, match=r"2 documents are called 'note.txt'; .*docs/"):
        engine.why_not("note.txt", "藏书")
    assert engine.why_not("docs/b/note.txt", "藏书").path == "docs/b/note.txt"


def test_blank_question(engine):
    with pytest.raises(QueryError):
        engine.why_not("水库.txt", " ")


def test_on_the_command_line(engine):
    base: Path = engine.config.base
    done = run_qa("why-not", "docs/平武县图书馆.txt", QUESTION, folder=base)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("docs/平武县图书馆.txt: rank ")
    assert "first: docs/青川县图书馆年报.txt" in done.stdout
    assert "this document: docs/平武县图书馆.txt" in done.stdout
    assert "missing: " in done.stdout
    found = json.loads(run_qa("why-not", "水库.txt", QUESTION, "--json", folder=base).stdout)
    assert found["path"] == "docs/水库.txt"
    assert found["reasons"]
    assert_fails(run_qa("why-not", "水库1.txt", QUESTION, folder=base), 4, "the nearest: docs/水库.txt")


@pytest.mark.parametrize("named", ["\0", "名" * 5000, "a/" * 3000, ""], ids=["nul", "long", "deep", "empty"])
def test_names_that_no_file_can_have_name_no_document(engine, named):
    with pytest.raises(DocumentNotFoundError):
        engine.why_not(named, QUESTION)
