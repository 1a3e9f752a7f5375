"""Tasks that delta-rs does not perform on a local disk: locate log files, detect torn commits and flush files."""
