"""The report on what was read, as a command and over HTTP; damage where it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from qa.cli.terminal import print_answer, print_hits
from qa.configuration.config import Config
from qa.engine import Engine
from tests.index.parsing.samples import TEXTS, make_docx, make_pdf
from tests.qa.commands import assert_fails, run_qa
from tests.qa.servers import make_corpus, serving

DAMAGED = "經費確?!钡囊螅灰跃蜆I援助"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = make_corpus(tmp_path_factory.mktemp("report"), "docs")
    folder = config.base / "docs"
    (folder / "a.txt").write_text(f"帮扶人员稳定。\n\n{DAMAGED}、助醫助學、生活解困、技能培訓。\n", encoding="utf-8")
    (folder / "b.pdf").write_bytes(make_pdf([*TEXTS, "第三页写的是职工之家。"], page_each=True))
    (folder / "c.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    (folder / "d.txt").write_bytes(make_docx())
    (folder / "two\nlines.txt").write_bytes(b"")
    return config


@pytest.fixture(scope="module")
def engine(config: Config) -> Engine:
    engine = Engine(config)
    engine.index()
    return engine


def test_after_indexing_and_on_request(config):
    done = run_qa("index", "--rebuild", folder=config.base)
    assert (done.returncode, done.stdout) == (0, "")
    first = done.stderr
    done = run_qa("index", "--report", folder=config.base)
    assert (done.returncode, done.stderr) == (0, "")
    for text in (first, done.stdout):
        assert "skipped docs/c.doc: .doc files are not read; save it as .docx" in text
        assert "skipped docs/two\\nlines.txt: the file holds no text" in text
        assert "warning damage · docs/a.txt · paragraph 2 · characters 12-" in text
        assert "warning wrong-suffix · docs/d.txt: is docx" in text
    assert done.stdout.startswith("3 documents, ")
    assert done.stdout.endswith("2 warnings: 1 damage, 1 wrong-suffix\n")


def test_the_report_reads_nothing(config):
    assert_fails(run_qa("index", "--report", "docs", folder=config.base), 2, "--report")
    assert_fails(run_qa("index", "--report", "--rebuild", folder=config.base), 2, "--report")


def test_a_document_says_what_to_be_wary_of(config, engine):
    with serving(config) as client:
        documents = {item["path"]: item for item in client.get("/v1/documents").json()["documents"]}
        (warning,) = documents["docs/a.txt"]["warnings"]
        assert client.get(f"/v1/documents/{documents['docs/a.txt']['id']}").json()["warnings"] == [warning]
        assert (warning["kind"], warning["paragraph"], warning["page"]) == ("damage", 2, None)
        text = client.get(f"/v1/documents/{documents['docs/a.txt']['id']}/text").text
        assert text[warning["start"] : warning["end"]] == "?!钡囊螅灰跃蜆I"


def test_damage_is_marked_where_it_is_shown(engine):
    response = engine.ask("生活解困技能培訓")
    hit = response.hits[0]
    assert [hit.text[start - hit.start : end - hit.start] for start, end in hit.damaged] == ["?!钡囊螅灰跃蜆I"]
    assert response.citations[0].damaged == hit.damaged
    assert all(not other.damaged for other in response.hits[1:])
    screen = io.StringIO()
    out = Console(file=screen, width=200)
    print_answer(response, out)
    print_hits(response.hits, out)
    assert screen.getvalue().count("! damaged in the document, look at the original: ?!钡囊螅灰跃蜆I") == 3


def test_a_citation_has_the_page_it_stands_on(engine):
    response = engine.ask("哪一页写的是职工之家")
    assert (response.citations[0].page, response.hits[0].page) == (3, 3)
    screen = io.StringIO()
    out = Console(file=screen, width=200)
    print_hits(response.hits, out)
    assert "docs/b.pdf" in screen.getvalue() and "page 3" in screen.getvalue()
