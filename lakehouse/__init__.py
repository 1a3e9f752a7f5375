"""The base package: settings, errors, logs, contracts, lake and warehouse access. It imports no other package."""
