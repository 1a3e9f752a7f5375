"""`okr backup` and `okr restore`: one encrypted repository, from which all parts return to one moment (ADR 43)."""
