"""Noun: consumer group. Sinks keep their offsets under its name: a group of another name reads everything anew."""

LANDING_GROUP = "okr-landing"
STATE_GROUP = "okr-state"
