"""Configuration, migrations and the local stack. Imports `lakehouse` alone; nobody imports it but tests."""
