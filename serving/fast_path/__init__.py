"""Answer POST /predict from memory, before FastAPI, with the same responses as the regular route."""
