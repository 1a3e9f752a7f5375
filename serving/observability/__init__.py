"""Health and metrics of all workers."""
