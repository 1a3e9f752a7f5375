"""Answer the most common requests to POST /predict before FastAPI, with the same responses as the regular route."""
