"""Migrate MLflow's store to its newest revision.

Addresses are read from the environment, because any user can read a command line.
"""

import os

from mlflow.db import commands
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

if __name__ == "__main__":
    store, artifacts = os.environ["MLFLOW_BACKEND_STORE_URI"], os.environ["OKR_MLFLOW_ARTIFACTS"]
    commands(["upgrade", store], standalone_mode=False)
    # The first client that opens an empty store creates the default experiment with its own artifact folder.
    SqlAlchemyStore(store, artifacts)
