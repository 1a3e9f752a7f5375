"""Migrations of the warehouse's schema, forward only. Each revision runs the .sql file beside it as okr_owner.

To add one, create `versions/<number>_<name>.py` and `versions/<number>_<name>.sql`; `down_revision` is the last number.
"""
