"""Analysts' logins: one role per person, a group role with their rights, and a guard that enforces session limits.

analyst_rights.sql lists what makes up an analyst's rights. The right to read the marts is granted by
infra/migrations/versions/0015_analysts_read_marts.sql.
"""
