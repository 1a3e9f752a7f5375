"""The admin API under /admin, for operators only."""
