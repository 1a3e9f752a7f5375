"""Event sources: OKR files, a simulated organisation, metrics of the host and the platform."""
