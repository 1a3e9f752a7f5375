"""Quality gates, which validate batches before loading and marts before publication, and daily checks."""
