"""Quality gates, which validate a batch before it is loaded and marts before they are published, and daily checks."""
