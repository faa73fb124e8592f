"""What runs on the nodes of a cluster: the pure methods of `Work`, so that any of it may be done again."""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import CitedQAError, ClusterError
from index.indexing.digest import Work

if TYPE_CHECKING:
    from ray import ObjectRef

_PACKAGE = Path(__file__).parents[2]
Identity = dict[str, str]
"""What results depend on, by what it is of."""
_INSTALL = "install the same there"
_CURES = {
    "encoder": "the model's files must be the same there",
    "segmenter": "install rjieba on both or on neither",
}
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def identity(state: bytes) -> Identity:
    """What results depend on, in words: where it is equal on two machines they give the same.

    `state` is the pickled encoder and segmenter.

    Raises:
        EncoderError: the encoder's model is not on this machine.
    """
    encoder, segmenter = pickle.loads(state)  # noqa: S301 - from the process that started the job
    major, minor, _ = platform.python_version_tuple()
    return {
        "cited-qa": f"{version('cited-qa')} (code {_code()})",
        "Python": f"{major}.{minor}",
        "encoder": encoder.fingerprint,
        "segmenter": segmenter.fingerprint,
    }


def _code() -> str:
    """A digest of the code: two checkouts may have the same version."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def differences(expected: Identity, there: Identity, node: str) -> str:
    """What a node must change to give the results that this machine gives; empty where it does."""
    for what, wanted in expected.items():
        if there.get(what) != wanted:
            return f"node {node} has {what} {there.get(what)}, but here it is {wanted}; {_CURES.get(what, _INSTALL)}"
    return ""


def run(expected: Identity, state: Sequence[ObjectRef[bytes]], request: bytes) -> bytes:
    """The pickled results of a pickled request: a method of `Work` and the batches for it, or an error of ours.

    `state` is a list so that Ray does not fetch it for every task; `expected` is its identity.
    """
    os.environ.update(_ONE_THREAD)  # read by the libraries when they are first used
    results: list[Any] | CitedQAError
    try:
        work = _work(tuple(expected.items()), state[0])
        name, several = pickle.loads(request)  # noqa: S301
        results = [getattr(work, name)(batch) for batch in several]
    except CitedQAError as exc:
        results = exc
    return pickle.dumps(results, protocol=pickle.HIGHEST_PROTOCOL)


@lru_cache(maxsize=1)
def _work(expected: tuple[tuple[str, str], ...], state: ObjectRef[bytes]) -> Work:
    """The work of this process, which loads model and dictionary once."""
    import ray

    made: bytes = ray.get(state)
    # The nodes were asked when the run began; this one may have joined since.
    if problem := differences(dict(expected), identity(made), ray.util.get_node_ip_address()):
        raise ClusterError(f"--ray: {problem}")
    encoder, segmenter = pickle.loads(made)  # noqa: S301
    return Work(encoder, segmenter)
