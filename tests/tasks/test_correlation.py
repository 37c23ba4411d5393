from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import r2_score

from pareto_prune.inputs.tasks import _correlation

NUMBERS = st.integers(-4, 4).map(float)
PARITY = {
    "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
    "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
    "explained": r2_score,
}


@pytest.mark.parametrize("name", PARITY)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 3)), min_size=3, max_size=12))
def test_each_is_that_of_the_pairs_written_out(name, rows):
    x, y, counts = (np.array(column) for column in zip(*rows, strict=True))
    written = [np.repeat(column, counts) for column in (x, y)]
    found = getattr(_correlation, name)(x, y, np.stack([counts, np.ones_like(counts)]))
    assert found.shape == (2,)
    for pair, one in ((written, found[0]), ((x, y), found[1])):
        if min(len(set(column.tolist())) for column in pair) < 2:
            assert name == "explained" or one == 0
        else:
            assert one == pytest.approx(PARITY[name](*pair), abs=1e-9)


def test_what_never_varies_is_not_explained():
    once = np.ones(3, dtype=np.int64)
    assert _correlation.explained(np.ones(3), np.arange(3.0), once) == 0
    assert _correlation.pearson(np.arange(3.0), np.ones(3), once) == 0
