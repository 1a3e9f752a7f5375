"""Simulate an organisation as a pure function of a seed, a scale and the calendar.

Equal arguments therefore always give identical bytes, a later `as_of` continues the history of an earlier one, and live
events (`live`) refer to the same key results as the history.
"""

from ingestion.sources.simulator.messages import Tally, messages
from ingestion.sources.simulator.scale import SCALES, Scale, scale_of
from ingestion.sources.simulator.teams_and_users import Organisation, organisation

__all__ = ["SCALES", "Organisation", "Scale", "Tally", "messages", "organisation", "scale_of"]
