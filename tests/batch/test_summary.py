"""The summary of a batch: its intervals compared with an independent bootstrap over participants."""

from __future__ import annotations

import numpy as np
import pytest

from multimodal.analysis.bootstrap import bootstrap
from multimodal.batch.summary import summarize


def test_intervals_agree_with_another_bootstrap() -> None:
    from scipy.stats import bootstrap as scipy_bootstrap

    values = np.random.default_rng(1).gamma(2.0, 1.0, (40, 1))
    mean, low, high = bootstrap(values, 8000)
    theirs = scipy_bootstrap(
        (values[:, 0],), np.mean, n_resamples=8000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert mean[0] == pytest.approx(values.mean())
    assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_people_are_drawn_and_not_answers() -> None:
    rows = [{"status": "done", "m": float(n % 2), "participant": f"P{n % 2}"} for n in range(1000)]
    rows += [{"status": "failed", "m": None, "participant": "P1"}, {"status": "done", "m": None, "participant": "P3"}]
    columns, table = summarize(rows, ["m"])
    assert columns == ["by", "group", "inputs", "done", "failed", "participants", "m", "m_low", "m_high"]
    whole = table[0]
    assert (whole["inputs"], whole["done"], whole["failed"], whole["participants"]) == (1002, 1001, 1, 3)
    assert (whole["m"], whole["m_low"], whole["m_high"]) == (0.5, 0.0, 1.0)  # two people with a value, however often
    alone = table[1]
    assert alone["group"] == "P0" and alone["m"] == 0.0 and "m_low" not in alone  # no interval over one person
