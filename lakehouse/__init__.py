"""The leaf package: settings, errors, logs, contracts, lake and warehouse access. Imports nothing else of ours."""
