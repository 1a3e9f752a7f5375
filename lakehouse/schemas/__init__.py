"""JSON Schemas of the contracts: generated from the models, committed, and checked for incompatible changes."""
