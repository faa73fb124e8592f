"""The model card and the report's table."""

from __future__ import annotations

from training.config import Config
from training.measure import Figures

_TEXT = """---
language: [zh, en, ja, ar, de, es, fr, id, it, ko, pt, ru, th, vi]
license: cc-by-sa-4.0
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, static-embeddings, model2vec]
---
# cited-qa static multilingual embedding

One vector a word piece ({pieces:,} pieces, {dim} dimensions, int8 with a scale a piece), summed and normalised. Made
from nothing but openly licensed text by `python -m training`, on two CPU cores. For finding passages and sentences that
answer a question, in Chinese and English, and across the two. Vectors may be cut to their first 128 or 64 dimensions
(they are ordered by principal components; what cutting costs was not measured); normalise again after cutting.

```python
from model2vec import StaticModel                      # without torch
vectors = StaticModel.from_pretrained(folder).encode(texts)
from sentence_transformers import SentenceTransformer  # with torch; the same vectors
vectors = SentenceTransformer(folder).encode(texts)
```

Text was folded before training (NFKC, Simplified characters, lower case): fold yours with `index.text.fold.fold_text`.
Vectors have length 1; text without a known letter or digit is all zeros.

## How it is made
- **Tokenizer**: a Unigram model over runs of letters and digits; punctuation and unknown characters are dropped.
  Chinese words from jieba's dictionary, CC-CEDICT, WordNet and the training text (long compounds only by their
  parts), words of other scripts by frequency, letter groups and characters for the rest. Scripts of which no text was
  at hand (Greek, Devanagari) have pairs of letters.
- **Start**: random vectors, smaller for common pieces, plus random vectors shared by pieces with the same characters,
  inner words or beginnings, so that unseen words resemble their relatives. The shared parts are trained and then
  folded in.
- **Training**: contrastive with in-batch negatives on pairs that belong together; settings in `training/config.py`,
  what was tried in `training/ABLATION.md`.

## Data
| source | licence |
|---|---|
| PRC laws (LawRefBook/Laws), Taiwan laws with official English (kong0107/mojLawSplitJSON) | statutes, no copyright |
| PRC government work reports 2008-2020 with English (liuzeyi11/GovernmentWorkReportCorpus) | official texts |
| Tatoeba zh-en | CC BY 2.0 FR |
| Dynamics 365 documentation zh, ja (MicrosoftDocs) | CC BY 4.0 |
| Open Multilingual Wordnet, 16 languages | permissive; Wiktionary parts CC BY-SA |
| CC-CEDICT (MDBG) | CC BY-SA 4.0 |
| DRCD dev and CMRC 2018 trial: questions of {trained} % of the articles | CC BY-SA 3.0, CC BY-SA 4.0 |
| jieba's word list with frequencies (for the vocabulary) | MIT |

XQuAD and the questions on unions were never trained on (training refuses these files); the union questions, and XQuAD,
were looked at when choosing between settings. {held} % of the DRCD and CMRC articles were kept out to be measured.

## Figures
Dense retrieval alone, brute force, nDCG@10 unless said. A passage's score: of its whole vector; of its best sentence;
the mean of both. Questions on unions: whether the best sentence, or one of the best five, of all holds the evidence;
"in line" by the mean of the sentence's and its line's score; "passages" as `index.indexing.build.embed` makes vectors,
each clause with a share of its passage and heading.

{table}
## Limits
- A bag of words: neither order nor negation. 甲告乙 and 乙告甲 are the same to it. Use it beside lexical search.
- Figures in text count little; names it has never seen match as words or characters only, and not across languages.
- Chinese text was mostly laws, reports and documentation; English mostly translated law. Languages other than Chinese,
  English and Japanese were seen only as WordNet's words: across languages they are weak, within one they match words.
- Greek, Hindi, Romanian and Turkish: shared letters only.
"""
_HEAD = "| measure | whole | best sentence | both |\n|---|---|---|---|\n"
_WAYS = ("whole", "sentence", "both")


def table(figures: Figures) -> str:
    """The figures as markdown tables."""
    names = dict.fromkeys(name.rsplit(" ", 1)[0] for name in figures if name.endswith(_WAYS))
    rows = []
    for name in names:
        cells = [f"{figures[f'{name} {way}']:.3f}" if f"{name} {way}" in figures else "" for way in _WAYS]
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    others = [f"| {name} | {figures[name]:.3f} |\n" for name in figures if "hit@" in name]
    return _HEAD + "".join(rows) + "\n| questions on unions | |\n|---|---|\n" + "".join(others) + "\n"


def text(config: Config, pieces: int, figures: Figures, held_out_percent: int) -> str:
    """The model card."""
    return _TEXT.format(
        pieces=pieces,
        dim=config.contrast.dim,
        trained=100 - held_out_percent,
        held=held_out_percent,
        table=table(figures),
    )
