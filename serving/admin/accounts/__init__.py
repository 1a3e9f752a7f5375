"""Accounts: list, disable, enable and log out everywhere."""
