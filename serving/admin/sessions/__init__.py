"""Logins of an account that are not over: list and end."""
