"""Quality gates: validation of a batch before it is loaded and of marts before they are published; daily checks."""
