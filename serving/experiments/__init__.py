"""Experiments with versions of a model: A/B tests and shadows. No HTTP."""
