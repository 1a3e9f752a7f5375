"""The warehouse's schema, forward only: one revision per change, each runs the .sql file beside it as okr_owner.

To add one: `versions/<number>_<what>.py` and `versions/<number>_<what>.sql`, `down_revision` the last number.
"""
