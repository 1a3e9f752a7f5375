"""Check-ins and corrections posted by apps: each is recorded exactly once, however often it is sent."""
