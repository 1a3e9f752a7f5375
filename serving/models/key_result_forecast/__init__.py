"""The forecast of key results: P(final score >= 0.7), an interval of the final score, and reasons."""

from serving.models.key_result_forecast.model import MODEL

__all__ = ["MODEL"]
