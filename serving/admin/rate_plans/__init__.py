"""Rate plans: list and change them."""
