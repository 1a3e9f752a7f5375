"""Check-ins and corrections posted by apps.

A request that is repeated with the same idempotency key or check-in id is recorded only once.
"""
