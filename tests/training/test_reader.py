"""The reader's training: what is generated is right by its own account, and a small network learns it."""

from __future__ import annotations

import json
import lzma
import random
from itertools import islice
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from training.reader import forms, measure, special
from training.reader.examples import KINDS, Example, kind_of, read
from training.reader.features import NONE, Encoder, batches, collate
from training.reader.fit import Plan, fit
from training.reader.near_misses import NearMisses
from training.reader.network import Reader
from training.reader.vocabulary import FOLDER, formal_sum, han_number
from training.sources import EvaluationFileError

LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_generated_examples_answer_as_they_say(language: str) -> None:
    examples = list(islice(forms.examples(language, random.Random(1)), 200))
    assert 0.15 < sum(not example.answers for example in examples) / len(examples) < 0.5
    for example in examples:
        assert "{" not in example.question + example.passage + example.title
        assert example.kind in KINDS
        for start, end in example.answers:
            assert 0 <= start < end <= len(example.passage)
            assert example.passage[start:end] == example.passage[start:end].strip() != ""
    again = islice(forms.examples(language, random.Random(1)), 200)
    assert list(again) == examples


@pytest.mark.parametrize("language", ["zh", "en"])
def test_special_examples_answer_within_their_passage(language: str) -> None:
    examples = list(islice(special.examples(language, random.Random(2)), 100))
    assert all(example.passage[a:b].strip() for example in examples for a, b in example.answers)
    assert {"list", "person", "date", "number"} <= {example.kind for example in examples}


def test_an_faq_is_answered_below_its_question() -> None:
    text = "建于1950年。馆长是王伟。"
    questions = [
        Example("哪年建的", "馆", text, ((2, 7),), "date", "zh"),
        Example("馆长是谁", "馆", text, ((11, 13),), None, "zh"),
    ]
    made = [special.faq(questions, random.Random(seed)) for seed in range(8)]
    assert {example.passage[slice(*example.answers[0])] for example in made if example} == {"1950年", "王伟"}
    assert all(example.question in example.passage for example in made if example)


def test_near_misses_hold_no_answer() -> None:
    examples = [
        Example(
            f"{name}在{year}年有多少人",
            name,
            f"{name}在{year}年有{year * 3}人。" + "后来的事没有人记得。" * 8,
            ((len(name) + 8, len(name) + 13),),
            "number",
            "zh",
        )
        for name in ("兰州", "武威", "天水")
        for year in (2001, 2005, 2019)
    ]
    maker = NearMisses(examples, random.Random(1))
    near = maker.neighbours(examples)
    made = [(example, maker.of(example, rows)) for _ in range(20) for example, rows in zip(examples, near, strict=True)]
    misses = [(example, miss) for example, miss in made if miss]
    assert len(misses) > 100
    for example, miss in misses:
        assert not miss.answers
        if miss.question == example.question:
            assert example.passage[slice(*example.answers[0])] not in miss.passage
        else:
            assert miss.question not in {e.question for e in examples if e.passage == miss.passage}


def test_numbers_are_written_out() -> None:
    assert [han_number(value) for value in (0, 7, 10, 15, 20, 105, 340, 1001, 3650)] == [
        "零", "七", "十", "十五", "二十", "一百零五", "三百四十", "一千零一", "三千六百五十",
    ]  # fmt: off
    assert formal_sum(3650) == "叁仟陆佰伍拾"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("2019年3月", "date"), ("1,500元", "sum"), ("30 days", "duration"), ("158人", "number"), ("王伟", None)],
)
def test_kinds_of_answers(answer: str, kind: str | None) -> None:
    assert kind_of(answer) == kind


def test_rows_are_read_and_what_only_measures_is_refused(tmp_path: Path) -> None:
    row = {
        "lang": "zh-Hans", "title": "馆", "context": "建于1950年。", "question": "哪年建的", "answerable": True,
        "answers": [{"text": "1950年", "start": 2}],
    }  # fmt: off
    for folder in ("train", "eval"):
        (tmp_path / folder).mkdir()
        with lzma.open(tmp_path / folder / "a.jsonl.xz", "wt", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    assert list(read(tmp_path / "train" / "a.jsonl.xz")) == [
        Example("哪年建的", "馆", "建于1950年。", ((2, 7),), "date", "zh")
    ]
    with pytest.raises(EvaluationFileError):
        list(read(tmp_path / "eval" / "a.jsonl.xz"))


def _tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """One piece a character."""
    letters = sorted({char for text in texts for char in text} | {"▁"})
    pieces = [("<s>", 0.0), ("</s>", 0.0), ("<pad>", 0.0), ("<unk>", 0.0), *((letter, -1.0) for letter in letters)]
    model = Tokenizer(Unigram(pieces, unk_id=3))
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    model.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        sep_token="</s>",
    )


def _examples() -> list[Example]:
    rng = random.Random(3)
    made = []
    for _ in range(400):
        code, other = rng.sample("ABCDEFGH", 2)
        text = f"{other}：{rng.randint(100, 999)}；{code}：{rng.randint(100, 999)}"
        absent = rng.random() < 0.3
        made.append(Example("Z" if absent else code, "表", text, () if absent else ((8, 11),), "number", "zh"))
    return made


def test_a_small_network_learns_and_goes_on_where_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    examples = _examples()
    tokenizer = _tokenizer([e.question + e.title + e.passage for e in examples] + ["\n "])
    shape = BertConfig(
        vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=64,
    )  # fmt: off
    BertModel(shape, add_pooling_layer=False).save_pretrained(tmp_path / "base")
    reader = Reader.of(tmp_path / "base")
    stream = (examples[n % len(examples)] for n in range(10**9))
    fit(reader, tokenizer, stream, Plan(examples=3200, rate=3e-3), tmp_path / "work")
    again = Reader.of(tmp_path / "base")
    fit(again, tokenizer, stream, Plan(examples=3200, rate=3e-3), tmp_path / "work")
    figures = measure.figures(again, tokenizer, examples[:60])
    assert figures["f1"] > 0.8 and figures["auc"] > 0.9, figures
    student = Reader.of(tmp_path / "base", (0,))
    fit(student, tokenizer, stream, Plan(examples=320, rate=3e-3), tmp_path / "student", teacher=again)
    other = Reader.of(tmp_path / "base")
    other.load(tmp_path / "work" / "reader.safetensors")
    first = next(batches(stream, Encoder(tokenizer, random.Random(1)), 8, tokenizer.pad_token_id))[0]
    with torch.inference_mode():
        assert torch.allclose(other.eval()(first)[0], again.eval()(first)[0], atol=0.05)
    with pytest.raises(ValueError, match=r"student.*no weights"):
        other.load(tmp_path / "student" / "reader.safetensors")


def test_windows_keep_the_answer() -> None:
    text = (
        "".join(f"第{n}句话里什么也没有。" for n in range(60))
        + "答案是四十二。"
        + "".join(f"又{n}句。" for n in range(80))
    )
    start = text.index("四十二")
    example = Example("答案是什么", "书", text, ((start, start + 3),), "number", "zh")
    tokenizer = _tokenizer([text, "答案是什么书\n "])
    encoder = Encoder(tokenizer, random.Random(1))
    encoded = [one for _ in range(30) if (one := encoder.encode(example))]
    assert len(encoded) > 20
    for one in encoded:
        assert tokenizer.decode(one.ids[one.start : one.end + 1]).replace(" ", "") == "四十二"
        assert one.passage_from <= one.start <= one.end < one.passage_to
    unanswerable = encoder.encode(Example("答案是什么", "书", "又句。", (), None, "zh"))
    assert unanswerable and (unanswerable.start, unanswerable.end) == (NONE, NONE)
    assert collate([*encoded[:2], unanswerable], 2).in_passage[:, NONE].all()
