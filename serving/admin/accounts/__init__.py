"""Accounts: list, create, change, give a password, disable, enable and log out everywhere."""
