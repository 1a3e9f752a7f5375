"""`mlflow db upgrade`, with the store's address from the environment: a command line is readable by everybody."""

import os

from mlflow.db import commands

if __name__ == "__main__":
    commands(["upgrade", os.environ["MLFLOW_BACKEND_STORE_URI"]])
