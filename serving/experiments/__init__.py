"""Experiments with versions of a model: A/B tests and shadows. This package does not use FastAPI."""
