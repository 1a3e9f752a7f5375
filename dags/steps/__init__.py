"""The bodies of the DAGs' tasks, one function each: it reads the settings, calls a package and reports the result."""
