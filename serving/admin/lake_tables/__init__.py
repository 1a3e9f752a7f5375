"""Landing tables of the lake: list their state."""
