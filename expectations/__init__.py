"""Quality gates: what is judged before a batch is loaded and before marts are published, and the daily deep look."""
