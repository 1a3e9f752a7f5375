"""Publications: list them, roll back and resume."""
