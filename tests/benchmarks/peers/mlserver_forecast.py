"""The trees of the forecast as a model of MLServer. The model's file is in OKR_TREES."""

import os

import xgboost
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Forecast(MLModel):
    """Scores rows."""

    async def load(self) -> bool:
        """Load the trees."""
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["OKR_TREES"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the probability of each row."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        found = self.booster.inplace_predict(rows, validate_features=False)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probability", found)])
