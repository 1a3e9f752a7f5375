"""The processes of the API: each registers in `serving.worker` and sends a heartbeat."""
