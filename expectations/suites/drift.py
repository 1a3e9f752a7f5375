"""The drift suite, which compares features of the newest cycle with earlier cycles. Its rules are advice."""

from collections.abc import Mapping

from expectations.rules import Rule, Suite

# Kolmogorov-Smirnov distance (0-1): the largest gap between two cumulative distributions. Its p-value is not useful,
# because with thousands of rows every difference is significant.
MAX_DISTANCE = 0.25
MIN_ROWS = 50


def suite(distances: Mapping[str, float]) -> Suite:
    """Return one rule per feature; `distances` is the distance of each between the newest and earlier cycles."""
    import pandas as pd

    return Suite(
        "drift",
        "features of the newest cycle and of earlier cycles",
        tuple(_rule(feature) for feature in distances),
        rows_at_least=0,
        frame=pd.DataFrame([dict(distances)]) if distances else pd.DataFrame(),
    )


def _rule(feature: str) -> Rule:
    return Rule(
        name=f"{feature}_is_like_in_training",
        says=f"the newest cycle's {feature} stays within a Kolmogorov-Smirnov distance of {MAX_DISTANCE}",
        type="expect_column_values_to_be_between",
        arguments={"column": feature, "max_value": MAX_DISTANCE},
        advice=True,
    )
