"""Results of quality gates."""
