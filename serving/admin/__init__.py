"""The admin API under /admin: what an operator asks and an app must not."""
