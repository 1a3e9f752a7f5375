"""Logins of analysts: one role each, members of the group role that holds their rights, watched by a guard."""
