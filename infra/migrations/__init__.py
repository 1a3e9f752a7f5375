"""Migrations of the warehouse's schema, forward only. Each revision runs the SQL file of the same name as okr_owner.

To add a revision, create `versions/<number>_<name>.py` and `versions/<number>_<name>.sql`. Its `down_revision` is the
number of the previous revision.
"""
