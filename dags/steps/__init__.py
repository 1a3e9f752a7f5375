"""The functions that the DAGs' tasks run. They read the settings, call a package and report the result."""
