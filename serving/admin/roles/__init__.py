"""Roles and their rights: list."""
