"""Experiments with model versions: define, start, stop and list them."""
