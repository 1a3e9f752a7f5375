"""Field types shared by the contracts. Their bounds ensure that events can be loaded and that progress is finite."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

# `lakehouse.contracts.allowed_characters` defines the other rules for ids, and `ingestion.contract_validation` applies
# them. They are not part of this pattern, because a stricter pattern would require a new major version of every
# contract. `ingestion.storable_json._NON_SPACE` implements this pattern for single bytes. A test compares the two.
NO_SPACE_AT_EITHER_END = r"^\S(.*\S)?$"
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=NO_SPACE_AT_EITHER_END, description="natural key")]
Title = Annotated[str, Meta(max_length=2000)]
Note = Annotated[str, Meta(max_length=10_000)]
ADDRESS = r"^[^@\s]+@[^@\s]+$"
Email = Annotated[str, Meta(max_length=320, pattern=ADDRESS)]
Unit = Annotated[str, Meta(max_length=64, description="what a value counts, e.g. percent, eur, days")]
# Above 1e15, floats have too few digits to represent single units, and the difference of two values could overflow in
# SQL.
Value = Annotated[float, Meta(ge=-1e15, le=1e15)]
Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]
Weight = Annotated[float, Meta(gt=0.0, le=1000.0)]
LabelName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Labels = Annotated[dict[LabelName, Annotated[str, Meta(max_length=256)]], Meta(max_length=16)]
Moment = Annotated[datetime, Meta(tz=True)]

SMALLEST_GAIN = 1e-9  # minimum of |target - baseline|, so that the formula of progress never divides by almost zero
