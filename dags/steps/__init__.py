"""What the tasks of the DAGs do, one function a task: each opens the settings, calls its package and reports."""
