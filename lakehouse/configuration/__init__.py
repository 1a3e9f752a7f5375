"""Where settings come from, what each environment requires of them, and `okr config`."""
