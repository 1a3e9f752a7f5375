"""Migrations of the warehouse's schema. Each revision runs the SQL file of the same name as okr_owner.

Revisions from 0045 on can be reverted (`downgrade`); earlier ones cannot.

To add a revision, create `versions/<number>_<name>.py` and `versions/<number>_<name>.sql`. Its `down_revision` is the
number of the previous revision.
"""
