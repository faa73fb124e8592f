"""Text to unit vectors.

`bundled` is the static model that ships in `index/bundled`; it needs neither network nor torch. Any other name is a
sentence-transformers model, by hub name or folder, or one that an OpenAI-compatible endpoint serves.
"""

from __future__ import annotations

from index.encoder.base import Encoder, EncoderOptions, Vectors, row_sums, unit_length
from index.encoder.static import BUNDLED_FOLDER, StaticEncoder

__all__ = [
    "BUNDLED",
    "BUNDLED_FOLDER",
    "Encoder",
    "EncoderOptions",
    "StaticEncoder",
    "Vectors",
    "load_encoder",
    "row_sums",
    "unit_length",
]

BUNDLED = "bundled"


def load_encoder(model: str = BUNDLED, options: EncoderOptions = EncoderOptions()) -> Encoder:  # noqa: B008 - frozen
    """The encoder named in the configuration. Nothing is read or reached until it is used.

    Every method of it raises EncoderError when the model is not there, is not one, or can't be used.
    """
    if model == BUNDLED:
        return StaticEncoder(BUNDLED_FOLDER)
    if options.base_url:
        from index.encoder.endpoint import EndpointEncoder

        return EndpointEncoder(model, options.base_url, options)
    from index.encoder.transformer import TransformerEncoder

    return TransformerEncoder(model, options)
