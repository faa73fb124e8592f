"""From the data folder to the model: `python -m training --data ../shared/data --out index/bundled`.

Each stage is kept in the work folder and not done again as long as the settings and the training code stay the same.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from training.config import Config
from training.stages import Run

log = logging.getLogger("training")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and eval/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model; replaced when all is done")
    parser.add_argument("--seeds", type=Path, help="documents of the union questions (default: seeds/ beside --data)")
    parser.add_argument("--work", type=Path, default=Path(".work/training"), help="folder for finished stages")
    parser.add_argument("--sample", type=int, help="at most so many pairs of each kind, to try the whole way quickly")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-prepare", action="store_true", help="stop before training")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Train, write and measure the model."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    seeds = options.seeds or options.data.parent / "seeds"
    config = Config.of(seed=options.seed, sample=options.sample)
    run = Run(options.data, seeds, options.work, config, options.threads)
    run.pairs()
    run.tokenizer()
    run.encoded()
    if options.only_prepare:
        return
    run.vectors()
    run.model(options.out)
    log.info("written to %s", options.out)


if __name__ == "__main__":
    main()
