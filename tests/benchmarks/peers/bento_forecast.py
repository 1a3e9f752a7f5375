"""The trees of the forecast as a BentoML service: `bentoml serve bento_forecast:Forecast` in this folder.

The model's file is in OKR_TREES.
"""

import os

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=1)
class Forecast:
    """One endpoint that scores rows."""

    def __init__(self) -> None:
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["OKR_TREES"])

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[float]:
        """Return the probability of each row."""
        return self.booster.inplace_predict(np.array(rows), validate_features=False).tolist()
