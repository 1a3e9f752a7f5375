"""The leaf package: settings, errors, logs, contracts, lake and warehouse access. Imports no other package of ours."""
