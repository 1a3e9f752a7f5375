"""Analysts' logins: one role per person, a group role with their rights, and a guard that enforces session limits."""
