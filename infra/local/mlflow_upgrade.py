"""Bring MLflow's store to its newest revision; addresses come from the environment, for a command line is public."""

import os

from mlflow.db import commands
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

if __name__ == "__main__":
    store, artifacts = os.environ["MLFLOW_BACKEND_STORE_URI"], os.environ["OKR_MLFLOW_ARTIFACTS"]
    commands(["upgrade", store], standalone_mode=False)
    # Whoever opens an empty store first makes its default experiment, with artifacts where they happen to stand.
    SqlAlchemyStore(store, artifacts)
