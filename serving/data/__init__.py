"""The data API under /v1: what the published marts say, each answer with its publication."""
