"""The data API, which reads the published marts."""
