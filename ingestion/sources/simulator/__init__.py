"""Simulate an organisation: everything in it is a pure function of (seed, scale) and the calendar.

The history up to `as_of` is therefore the same bytes every time, a later `as_of` continues an earlier history, and live
events (`live`) belong to the same key results.
"""

from ingestion.sources.simulator.messages import Tally, messages
from ingestion.sources.simulator.scale import SCALES, Scale, scale_of
from ingestion.sources.simulator.teams_and_users import Organisation, organisation

__all__ = ["SCALES", "Organisation", "Scale", "Tally", "messages", "organisation", "scale_of"]
