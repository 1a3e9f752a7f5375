"""Single rows by the compiled trees, compared with XGBoost on random boosters and rows."""

import json
import math
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ml.booster_trees import NotCompilable, read_trees
from ml.compiled_trees import CompiledTrees

FEATURES = 4
FINITE = [0.0, -0.0, 1e-45, -1e-45, 5e-324, 1e-38, 3.4028234e38, -3.4028234e38]  # also in 32 bits
INFINITE = [3.5e38, 1e300, -1e300, math.inf, -math.inf]


def trained(seed: int, *, depth: int, rounds: int, categories: int = 0, **parameters: Any) -> xgboost.Booster:
    """Train on random rows, some values of which are missing. With `categories`, the first feature is categorical."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(300, FEATURES)) * 10.0 ** random.integers(-6, 7, FEATURES)
    if categories:
        rows[:, 0] = random.integers(0, categories, 300)
    rows[random.random(rows.shape) < 0.2] = np.nan
    labels = (np.nan_to_num(rows[:, 0] / np.nanstd(rows[:, 0])) + random.normal(size=300) > 0.7).astype(float)
    types = ["c" if categories and not number else "q" for number in range(FEATURES)]
    data = xgboost.DMatrix(rows, label=labels, feature_types=types, enable_categorical=True)
    options = {"objective": "binary:logistic", "seed": seed, "nthread": 1, "eta": 0.3, **parameters}
    if parameters.get("booster") != "gblinear":
        options["max_depth"] = depth
    return xgboost.train(options, data, rounds)


def compiled(booster: xgboost.Booster) -> CompiledTrees:
    return CompiledTrees(read_trees(bytes(booster.save_raw("json"))))


def matrix(booster: xgboost.Booster, rows: np.ndarray) -> xgboost.DMatrix:
    return xgboost.DMatrix(rows, feature_types=booster.feature_types, enable_categorical=True, missing=np.nan)


def interesting_rows(booster: xgboost.Booster, seed: int, categories: int) -> np.ndarray:
    """Return rows of extreme values and of thresholds with their neighbours in 32 and 64 bits."""
    random = np.random.default_rng(seed)
    found = [each for tree in read_trees(bytes(booster.save_raw("json"))).trees for each in tree.threshold]
    exact = np.array(found, dtype=np.float32)
    close = np.concatenate([exact, np.nextafter(exact, np.float32(np.inf)), np.nextafter(exact, np.float32(-np.inf))])
    middle = (exact.astype(np.float64) + np.nextafter(exact, np.float32(-np.inf)).astype(np.float64)) / 2
    beside = [np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)]
    values = np.concatenate([close.astype(np.float64), middle, *beside, FINITE])
    rows = random.choice(values, (200, FEATURES))
    rows[random.random(rows.shape) < 0.1] = np.nan
    if categories:
        rows[:, 0] = random.choice([*range(categories + 3), -1, 0.5, 1e9, np.nan], len(rows))
    return rows


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, 8),
    rounds=st.integers(1, 12),
    categories=st.sampled_from([0, 0, 3, 40]),
    base_score=st.sampled_from([None, 0.5, 0.01, 0.73]),
    one_hot=st.sampled_from([1, 10]),
)
@example(seed=1, depth=3, rounds=100, categories=0, base_score=None, one_hot=1)
@example(seed=2, depth=6, rounds=30, categories=5, base_score=None, one_hot=10)
def test_margins_are_bit_equal_and_contributions_equal_to_those_of_xgboost(  # noqa: PLR0917 -- of a booster
    seed: int, depth: int, rounds: int, categories: int, base_score: float | None, one_hot: int
) -> None:
    chosen = {} if base_score is None else {"base_score": base_score}
    booster = trained(seed, depth=depth, rounds=rounds, categories=categories, max_cat_to_onehot=one_hot, **chosen)
    trees, rows = compiled(booster), interesting_rows(booster, seed, categories)
    outcomes = [trees.outcomes(row) for row in rows.tolist()]
    margins = np.array([trees.margin(each) for each in outcomes], dtype=np.float32)
    expected = booster.predict(matrix(booster, rows), output_margin=True)
    assert margins.tobytes() == expected.tobytes()
    if trees.explains:
        effects = np.array([[*trees.contributions(each), trees.expected] for each in outcomes])
        np.testing.assert_allclose(effects, booster.predict(matrix(booster, rows), pred_contribs=True), atol=2e-5)
        np.testing.assert_allclose(effects.sum(axis=1), margins, atol=1e-5)


def test_numbers_that_are_infinite_in_32_bits_are_compared_as_xgboost_does_in_place() -> None:
    booster = trained(3, depth=3, rounds=10)
    trees = compiled(booster)
    rows = np.array([[value] * FEATURES for value in (*FINITE, *INFINITE, math.nan)])
    expected = booster.inplace_predict(rows, predict_type="margin", missing=np.nan)
    margins = np.array([trees.margin(trees.outcomes(row)) for row in rows.tolist()], dtype=np.float32)
    assert margins.tobytes() == np.asarray(expected).tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 9, "reg_lambda": 0.0, "min_child_weight": 0.0},
        {"depth": 2, "objective": "multi:softprob", "num_class": 2},
        {"depth": 2, "objective": "count:poisson"},
        {"depth": 2, "booster": "dart"},
        {"depth": 2, "booster": "gblinear"},
    ],
)
def test_other_boosters_are_not_compiled(options: dict[str, Any]) -> None:
    with pytest.raises(NotCompilable):
        compiled(trained(4, rounds=3, **options))


def test_a_tree_without_splits_is_a_constant() -> None:
    booster = trained(5, depth=2, rounds=2, gamma=1e9)
    trees = compiled(booster)
    assert trees.margin(trees.outcomes([1.0] * FEATURES)) == pytest.approx(trees.expected)
    assert trees.contributions(trees.outcomes([1.0] * FEATURES)) == [0.0] * FEATURES


def test_a_changed_file_is_noticed() -> None:
    saved = json.loads(bytes(trained(6, depth=2, rounds=2).save_raw("json")))
    saved["learner"]["gradient_booster"]["model"]["cats"] = {"enc": [1]}
    with pytest.raises(NotCompilable):
        read_trees(json.dumps(saved).encode())
