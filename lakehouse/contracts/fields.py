"""Field types shared by the contracts. Bounds keep every accepted event loadable and every progress finite."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

# What else an id may not hold stands in `lakehouse.contracts.text`, which `ingestion.events` applies: a pattern that
# takes less would be another major version of every contract. `ingestion.storable._INK` says the same by the byte of
# ASCII; a test holds them together.
INK_AT_BOTH_ENDS = r"^\S(.*\S)?$"
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=INK_AT_BOTH_ENDS, description="natural key")]
Title = Annotated[str, Meta(max_length=2000)]
Note = Annotated[str, Meta(max_length=10_000)]
ADDRESS = r"^[^@\s]+@[^@\s]+$"
Email = Annotated[str, Meta(max_length=320, pattern=ADDRESS)]
Unit = Annotated[str, Meta(max_length=64, description="what a value counts, e.g. percent, eur, days")]
# Beyond 1e15 a float no longer holds units, and differences of two values could overflow in SQL.
Value = Annotated[float, Meta(ge=-1e15, le=1e15)]
Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]
Weight = Annotated[float, Meta(gt=0.0, le=1000.0)]
LabelName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Labels = Annotated[dict[LabelName, Annotated[str, Meta(max_length=256)]], Meta(max_length=16)]
Moment = Annotated[datetime, Meta(tz=True)]

SMALLEST_GAIN = 1e-9  # |target - baseline|: below it a progress would be a division by almost nothing
