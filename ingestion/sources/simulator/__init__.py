"""A simulated organisation: everything in it is a pure function of (seed, scale) and the calendar.

The past up to `as_of` is therefore the same bytes each time, a later `as_of` goes on where an earlier one ended, and
the live present (`live`) belongs to the same key results.
"""

from ingestion.sources.simulator.messages import Tally, messages
from ingestion.sources.simulator.scale import SCALES, Scale, scale_of
from ingestion.sources.simulator.teams_and_users import Organisation, organisation

__all__ = ["SCALES", "Organisation", "Scale", "Tally", "messages", "organisation", "scale_of"]
