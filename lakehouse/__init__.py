"""The base package: settings, errors, logs, contracts, lake and warehouse access. It imports none of our packages."""
