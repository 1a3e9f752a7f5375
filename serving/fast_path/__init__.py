"""POST /predict from memory, before FastAPI, by the schema of the regular route."""
