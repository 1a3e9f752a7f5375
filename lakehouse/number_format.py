"""Format numbers for the web page, summaries, messages and the reasons of forecasts.

All texts that this module returns follow three rules:

- Order is preserved. A value below its target is shown as a smaller number than the target, however close they are. If
  that would take too many digits, it is shown with a sign, for example as "<100".
- A number that rounds to zero has no sign ("0%", never "-0%").
- No number has an exponent; commas separate thousands.

Texts are plain ASCII, for terminals and logs. The page replaces signs and separators with typographic ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE

UNKNOWN = "-"
GAIN_DIGITS = 4  # a value is shown in steps of at most 1/10,000 of the gain between baseline and target
MAX_EXTRA_DIGITS = 8  # additional digits to distinguish a value from its target; closer values are shown as "<target"
TARGET_EXTRA_DIGITS = 4  # additional digits of targets and baselines, which people have entered
CONTEXT = Context(prec=400, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Reference:
    """A number with which readers compare a value, such as the target: its exact value, and the value as shown."""

    exact: Decimal
    shown: Decimal

    @classmethod
    def at(cls, value: float) -> "Reference":
        """Return a reference that is shown with its exact value."""
        return cls(_exact(value), _exact(value))

    def keeps_order(self, value: Decimal, shown: Decimal) -> bool:
        """Return whether the shown value is on the same side of the reference as the exact value."""
        return (value > self.exact) - (value < self.exact) == (shown > self.shown) - (shown < self.shown)


@dataclass(frozen=True)
class Measure:
    """Formats the values of one key result. The baseline and the target determine which digits matter."""

    baseline: float
    target: float

    def defined(self, value: float) -> str:
        """Format the baseline or the target itself."""
        return _text(self._shown(value))

    def value(self, value: float | None) -> str:
        """Format a value in the unit of the key result; it never looks equal to a target that it has not reached."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        references = [
            Reference(_exact(reference), self._shown(reference)) for reference in (self.baseline, self.target)
        ]
        return _ordered(_exact(value), references, self._digits, self._digits + MAX_EXTRA_DIGITS)

    @property
    def _digits(self) -> int:
        gain = abs(self.target - self.baseline)
        return max(0, GAIN_DIGITS - math.floor(math.log10(gain))) if 0 < gain < math.inf else GAIN_DIGITS

    def _shown(self, value: float) -> Decimal:
        return _rounded(_exact(value), self._digits + TARGET_EXTRA_DIGITS)


def percent(share: float | None, *, decimals: int = 0, beside: Sequence[float] = ()) -> str:
    """Format a share as a percentage. It is shown as 0%, 70% (achieved) or 100% only if it has exactly that value.

    `beside` contains other shares in the same sentence, which are shown with the same `decimals`. Unequal shares never
    look equal.
    """
    if share is None or not math.isfinite(share):
        return UNKNOWN
    hundredfold = CONTEXT.multiply(_snapped(share), Decimal(100))
    references = [Reference.at(reference) for reference in (0.0, 100 * ACHIEVED_SCORE, 100.0)]
    others = [CONTEXT.multiply(_exact(other), Decimal(100)) for other in beside]
    references += [Reference(other, _rounded(other, decimals)) for other in others]
    return f"{_ordered(hundredfold, references, decimals, max(decimals, 2))}%"


def chance(probability: float | None) -> str:
    """Format a probability as a whole percentage; only exactly 0 and 1 are shown as certain."""
    if probability is None or not math.isfinite(probability):
        return UNKNOWN
    if 0 < probability < 0.01:
        return "<1%"
    if 0.99 < probability < 1:
        return ">99%"
    return f"{_text(_rounded(_exact(100 * probability), 0))}%"


def score(value: float | None) -> str:
    """Format a score with two decimals, or up to four if it would otherwise look like 0, 0.70 (achieved) or 1."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = _ordered(_snapped(value), [Reference.at(reference) for reference in (0.0, ACHIEVED_SCORE, 1.0)], 2, 4)
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def expected_count(value: float) -> str:
    """Format an expected count to one decimal; it is shown as a whole number only if it is one."""
    whole = float(round(value))
    counted = whole if abs(value - whole) <= TOLERANCE else value  # the float sum of ten times 0.1 is less than 1
    return _ordered(_exact(counted), [Reference.at(whole)], 1, 4)


def plain(value: float) -> str:
    """Format a number without a unit or a target, with at most 15 significant digits."""
    exact = _exact(value)
    digits = 14 - exact.adjusted() if exact else 0
    return _ordered(exact, [Reference.at(0.0)], max(0, min(digits, 15)), 15)


def approximate(value: float) -> str:
    """Format the size of an estimate, without its sign, with two significant digits."""
    rounded = float(f"{abs(value):.2g}")
    if rounded == 0 or not math.isfinite(rounded):
        return "0" if rounded == 0 else UNKNOWN
    digits = min(max(0, 1 - math.floor(math.log10(rounded))), 15)
    text = f"{rounded:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def _ordered(value: Decimal, references: Sequence[Reference], first: int, last: int) -> str:
    """Round to `first` digits, or to more (at most `last`) if needed to preserve the order of all references."""
    if same := [reference for reference in references if reference.exact == value]:
        return _text(same[0].shown)
    for digits in range(first, last + 1):
        shown = _rounded(value, digits)
        if all(reference.keeps_order(value, shown) for reference in references):
            return _text(shown)
    nearest = min(references, key=lambda reference: abs(CONTEXT.subtract(value, reference.exact)))
    return f"{'<' if value < nearest.exact else '>'}{_text(nearest.shown)}"


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def _snapped(share: float) -> Decimal:
    """Return the share, or the threshold that it equals within the tolerance."""
    near = [reference for reference in (0.0, ACHIEVED_SCORE, 1.0) if abs(share - reference) <= TOLERANCE]
    return _exact(near[0] if near else share)


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), context=CONTEXT)


def _text(value: Decimal) -> str:
    text = f"{value:,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
