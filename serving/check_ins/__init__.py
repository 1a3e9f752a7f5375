"""Check-ins and corrections posted by apps. Each is recorded exactly once, even if it is sent repeatedly."""
