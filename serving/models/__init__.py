"""The model runtime: which models are served, their versions, and which of them each worker has loaded."""
