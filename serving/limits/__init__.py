"""Limits that keep the service available: request rates by plan, requests in flight, time limits and slow clients."""
