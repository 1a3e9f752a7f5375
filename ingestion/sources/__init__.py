"""Event sources: OKR files, a simulated organisation, and metrics of the host and the platform."""
