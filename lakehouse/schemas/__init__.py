"""JSON Schemas of the contracts: generated from the models, committed, and guarded against incompatible changes."""
