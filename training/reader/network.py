"""The reader's network: a multilingual transformer, the start and end of the answer, and the kind asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertModel

from training.reader.examples import KINDS
from training.reader.features import UNKNOWN_KIND, Batch

_KIND_WEIGHT = 0.2
_IMPOSSIBLE = -1e4


class Reader(nn.Module):
    """`forward` gives the logits of start and end over a batch's tokens, `(n, length)`, and of KINDS, `(n, 12)`.

    "No answer" is one more place of the same softmax, the first token. The embeddings stay as they are.
    """

    def __init__(self, transformer: BertModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.transformer.embeddings.requires_grad_(False)
        width = transformer.config.hidden_size
        self.span = nn.Linear(width, 2)
        self.kind = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, len(KINDS)))

    @classmethod
    def of(cls, folder: Path, layers: Sequence[int] | None = None) -> Reader:
        """A new reader on the transformer in a folder; of its `layers` only those given, in that order."""
        transformer = BertModel.from_pretrained(folder, add_pooling_layer=False)
        if layers is not None:
            chosen = [transformer.encoder.layer[layer] for layer in layers]
            transformer.encoder.layer = nn.ModuleList(chosen)
            transformer.config.num_hidden_layers = len(chosen)
        return cls(transformer)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        hidden = self.transformer(input_ids=batch.ids, attention_mask=batch.attention).last_hidden_state
        start, end = self.span(hidden).float().masked_fill(~batch.in_passage[..., None], _IMPOSSIBLE).unbind(-1)
        return start, end, self.kind(hidden[:, 0]).float()

    def save(self, path: Path) -> None:
        """Write all but the embeddings, which are the folder's own, in float16."""
        state = {
            name: value.half().contiguous().cpu() for name, value in self.state_dict().items() if _is_learned(name)
        }
        save_file(state, path)

    def load(self, path: Path) -> None:
        """Read what `save` wrote, or weights of the same layers by the names of ../shared/models/reader-teacher."""
        state = {name.replace("m.encoder.", "transformer.encoder."): value for name, value in load_file(path).items()}
        known = {name: value.float() for name, value in state.items() if name in self.state_dict()}
        missing = self.load_state_dict(known, strict=False).missing_keys
        lacking = [name for name in missing if _is_learned(name) and not name.startswith("kind.")]
        if lacking:
            raise ValueError(f"{path}: no weights for {lacking[0]} and {len(lacking) - 1} more")


def _is_learned(name: str) -> bool:
    return not name.startswith("transformer.embeddings.")


def loss(outputs: tuple[Tensor, Tensor, Tensor], batch: Batch) -> Tensor:
    """Cross-entropy of start and end, and, where it is known, of the kind."""
    start, end, kind = outputs
    span = (functional.cross_entropy(start, batch.starts) + functional.cross_entropy(end, batch.ends)) / 2
    if bool((batch.kinds != UNKNOWN_KIND).any()):
        span = span + _KIND_WEIGHT * functional.cross_entropy(kind, batch.kinds, ignore_index=UNKNOWN_KIND)
    return span


def distillation_loss(
    outputs: tuple[Tensor, Tensor, Tensor],
    teacher: tuple[Tensor, Tensor, Tensor],
    batch: Batch,
    temperature: float = 2.0,
) -> Tensor:
    """The teacher's own opinion, softened, beside the truth in equal parts (Hinton et al. 2015)."""
    soft = outputs[0].new_zeros(())
    for own, its in zip(outputs, teacher, strict=True):
        target = functional.softmax(its / temperature, -1)
        soft = soft + functional.kl_div(functional.log_softmax(own / temperature, -1), target, reduction="batchmean")
    return (soft * temperature**2 / len(outputs) + loss(outputs, batch)) / 2
