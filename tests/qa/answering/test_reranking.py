"""A small real CrossEncoder, made here, decides the order of the passages that are read."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from index.errors import ConfigError
from qa.configuration.config import load_config
from qa.engine import Engine
from tests.qa.commands import assert_fails, environment, run_qa

pytestmark = pytest.mark.slow

QUESTION = "体育场有多少个座位"
TEXTS = {
    "stadium": "体育场共有座位36000个,其中残疾人座位120个。",
    "theatre": "大剧院有座位1800个,乐池可容90人。",
    "cinema": "电影院有9个厅,座位1200个。",
    "court": "体育场旁的网球馆有6片场地。",
    "garden": "植物园种了4200株杜鹃。",
}
IMPORTS = """
import sys
from qa.engine import Engine
engine = Engine.open("config.yaml")
engine.index_if_missing()
before = "torch" in sys.modules
engine.ask("座位")
print(before, "torch" in sys.modules)
"""


def make_model(folder: Path, labels: int = 1, head: str = "BertForSequenceClassification") -> Path:
    """A BERT of two small layers with random weights, one token a character."""
    import torch
    import transformers  # takes seconds, which who runs other tests should not wait

    characters = sorted(set("".join(TEXTS.values()) + QUESTION))
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]))
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(characters) + 5,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=labels,  # type: ignore[call-arg]
        initializer_range=0.5,
    )
    getattr(transformers, head)(config).save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("reranking")
    (base / "docs").mkdir()
    for name, text in TEXTS.items():
        (base / "docs" / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
    make_model(base / "model")
    (base / "plain.yaml").write_text("corpus: docs\n", encoding="utf-8")
    (base / "config.yaml").write_text("corpus: docs\nreranker: {model: model}\n", encoding="utf-8")
    Engine(load_config(base / "plain.yaml")).index()
    return base


def test_the_order_follows_the_scores_of_the_model(base):
    found = Engine(load_config(base / "config.yaml")).search(QUESTION, top_k=10, explain=True)
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(base / "model"))
    title = {hit.path: hit.title for hit in found.hits}
    raw = {hit.path: float(model.predict([(QUESTION, f"{title[hit.path]}\n{hit.text}")])[0]) for hit in found.hits}
    assert len(set(raw.values())) == len(raw) >= 4
    assert [hit.path for hit in found.hits] == sorted(raw, key=lambda path: -raw[path])
    for hit in found.hits:
        assert hit.explain.reranker == pytest.approx(hit.score, abs=1e-3)
        assert hit.explain.points == {"reranker": pytest.approx(hit.score, abs=1e-3)}
        assert 0 <= hit.score <= 1
    without = Engine(load_config(base / "plain.yaml")).search(QUESTION, top_k=10, explain=True)
    assert {hit.path for hit in without.hits} == {hit.path for hit in found.hits}
    assert [hit.path for hit in without.hits] != [hit.path for hit in found.hits]
    assert without.hits[0].explain.reranker is None


def test_answers_stay_exact_and_come_from_what_was_read(base):
    found = Engine(load_config(base / "config.yaml")).ask(QUESTION)
    text = (base / found.citations[0].path).read_text(encoding="utf-8")
    assert text[found.citations[0].start : found.citations[0].end] == found.answer.text


def test_why_not_names_the_reranker(base):
    engine = Engine(load_config(base / "config.yaml"))
    last = engine.search(QUESTION, top_k=10).hits[-1]
    found = engine.why_not(last.path, QUESTION)
    assert found.rank == last.rank
    assert any("The reranker decides" in reason for reason in found.reasons)
    assert found.first.explain.reranker > found.best.explain.reranker  # type: ignore[operator]


def test_hits_that_are_not_read_stay_below(tmp_path):
    (tmp_path / "docs").mkdir()
    for number in range(25):
        (tmp_path / "docs" / f"{number}.txt").write_text(f"体育场{number}号看台有座位{number * 7 + 100}个。\n")
    model = make_model(tmp_path / "model")
    (tmp_path / "config.yaml").write_text(f"corpus: docs\nreranker: {{model: {model}}}\n", encoding="utf-8")
    engine = Engine(load_config(tmp_path / "config.yaml"))
    engine.index()
    hits = engine.search(QUESTION, top_k=25, explain=True).hits
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    reranked = [hit.explain.reranker is not None for hit in hits]
    assert reranked == sorted(reranked, reverse=True)
    assert any(reranked)


def test_torch_is_loaded_only_when_a_reranker_is_configured_and_used(base):
    for model, said in (("", "False False"), ("model", "False True")):
        done = subprocess.run(
            [sys.executable, "-c", IMPORTS],
            cwd=base,
            env=environment(QA_RERANKER_MODEL=model),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.stdout.strip(), done.stderr) == (said, "")


@pytest.fixture
def quiet() -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)


@pytest.mark.usefixtures("quiet")
def test_models_that_are_no_cross_encoder(base, tmp_path):
    two = make_model(tmp_path / "two", labels=2)
    plain = make_model(tmp_path / "plain", head="BertModel")
    for model, words in ((two, "gives 2 labels"), (plain, "is an encoder"), (tmp_path, "cannot load")):
        config = load_config(base / "config.yaml")
        config.reranker.model = str(model)
        with pytest.raises(ConfigError, match=f"^reranker.model: .*{words}") as caught:
            Engine(config).ask(QUESTION)
        assert "\n" not in str(caught.value)


def test_a_bad_model_on_the_command_line(base):
    done = run_qa("ask", QUESTION, folder=base, QA_RERANKER_MODEL="nowhere/nothing", HF_HUB_OFFLINE="1")
    assert_fails(done, 2, "reranker.model: cannot load 'nowhere/nothing'")
