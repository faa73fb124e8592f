"""The training loop: resumable, with its progress on stderr and in `progress.jsonl`."""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training.reader.examples import Example
from training.reader.features import Batch, Encoder, batches
from training.reader.network import Reader, distillation_loss, loss

log = logging.getLogger("training.reader")
_WARM_UP = 0.04
_HEADS_RATE = 8.0
_SAVE_EVERY_S = 300.0
_REPORT_EVERY = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train: `examples` in all, `rate` at the peak, and where (`cpu` or `cuda`)."""

    examples: int
    batch: int = 16
    rate: float = 7e-5
    decay: float = 0.01
    device: str = "cpu"
    seed: int = 1


def fit(
    reader: Reader,
    tokenizer: PreTrainedTokenizerFast,
    mixture: Iterator[Example],
    plan: Plan,
    work: Path,
    teacher: Reader | None = None,
) -> None:
    """Train until the plan's examples are seen; go on from `work/state.pt` where a run was cut short.

    The examples that a run cut short has seen come again in another order: `mixture` is not rewound.
    """  # fmt: off
    work.mkdir(parents=True, exist_ok=True)
    reader.to(plan.device).train()
    optimizer = torch.optim.AdamW(_groups(reader, plan), weight_decay=plan.decay)
    seen = _resume(reader, optimizer, work)
    rng = random.Random(plan.seed + seen)
    stream = batches(mixture, Encoder(tokenizer, rng), plan.batch, tokenizer.pad_token_id)
    objective = _objective(reader, teacher, plan)
    began, saved, first, recent = time.monotonic(), time.monotonic(), seen, []
    step = 0
    while seen < plan.examples:
        batch, count = next(stream)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(seen / plan.examples)
        value = objective(_to(batch, plan.device))
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen, step = seen + count, step + 1
        recent.append(float(value.detach()))
        if step % _REPORT_EVERY == 0:
            _report(work, seen, recent, (seen - first) / (time.monotonic() - began))
            recent.clear()
        if time.monotonic() - saved > _SAVE_EVERY_S:
            _save(reader, optimizer, seen, work)
            saved = time.monotonic()
    _save(reader, optimizer, seen, work)


def schedule(done: float) -> float:
    """The share of the peak rate at a share of the examples: up in a line, then down by a cosine."""
    if done < _WARM_UP:
        return (done + 1e-4) / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - _WARM_UP) / (1 - _WARM_UP))))


def _objective(reader: Reader, teacher: Reader | None, plan: Plan) -> Callable[[Batch], Tensor]:
    """A batch to its loss; on a GPU in bfloat16."""
    cast = torch.autocast(plan.device, torch.bfloat16) if plan.device != "cpu" else nullcontext()
    if teacher is None:

        def plain(batch: Batch) -> Tensor:
            with cast:
                return loss(reader(batch), batch)

        return plain
    teacher.to(plan.device).eval()

    def taught(batch: Batch) -> Tensor:
        with cast:
            with torch.no_grad():
                opinion = teacher(batch)
            return distillation_loss(reader(batch), opinion, batch)

    return taught


def _groups(reader: Reader, plan: Plan) -> list[dict[str, object]]:
    """The transformer at the plan's rate, the heads above it, which are new, at a higher one."""
    layers = [p for p in reader.transformer.parameters() if p.requires_grad]
    heads = [*reader.span.parameters(), *reader.kind.parameters()]
    return [
        {"params": layers, "peak": plan.rate, "lr": 0.0},
        {"params": heads, "peak": plan.rate * _HEADS_RATE, "lr": 0.0},
    ]


def _resume(reader: Reader, optimizer: torch.optim.Optimizer, work: Path) -> int:
    path = work / "state.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    reader.load_state_dict(state["reader"], strict=False)
    optimizer.load_state_dict(state["optimizer"])
    log.info("going on after %d examples", state["seen"])
    return int(state["seen"])


def _save(reader: Reader, optimizer: torch.optim.Optimizer, seen: int, work: Path) -> None:
    learned = {k: v for k, v in reader.state_dict().items() if not k.startswith("transformer.embeddings.")}
    state = {"reader": learned, "optimizer": optimizer.state_dict(), "seen": seen}
    torch.save(state, work / "state.new")
    (work / "state.new").replace(work / "state.pt")
    reader.save(work / "reader.safetensors")


def _report(work: Path, seen: int, recent: list[float], rate: float) -> None:
    line = {"seen": seen, "loss": round(sum(recent) / len(recent), 4), "examples_per_s": round(rate, 2)}
    log.info("%(seen)7d examples, loss %(loss).3f, %(examples_per_s).1f/s", line)
    with (work / "progress.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _to(batch: Batch, device: str) -> Batch:
    if device == "cpu":
        return batch
    return replace(batch, **{name: getattr(batch, name).to(device, non_blocking=True) for name in Batch.__slots__})
