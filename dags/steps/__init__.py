"""The bodies of the DAGs' tasks: functions that read the settings, call a package and report the result."""
