"""POST /predict from memory, before FastAPI, by the schema of the documented route."""
