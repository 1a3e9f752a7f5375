"""Migrations of the warehouse's schema. Each revision runs the SQL file of the same name as okr_owner.

To add a revision, create `versions/<number>_<name>.py` and `versions/<number>_<name>.sql`. Its `down_revision` is the
number of the previous revision. It has a `downgrade`, and follows the rules in docs/deployment.md. Revisions up to 0040
cannot be reverted.
"""
