from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from index.store.halves import cosines

DIM = 16
# Parts of unit vectors, those so small that float16 has no leading bit for them included.
halves = st.floats(-1, 1, width=16)
vectors = st.integers(0, 5).flatmap(lambda n: arrays(np.float16, (n, DIM), elements=halves))


@given(st.lists(vectors, min_size=1, max_size=4), arrays(np.float32, (2, DIM), elements=halves))
def test_the_same_as_converted_by_numpy(groups, queries):
    converted = np.concatenate(groups).astype(np.float32)
    np.testing.assert_allclose(cosines(groups, queries), converted @ queries.T, rtol=1e-5, atol=1e-6)
