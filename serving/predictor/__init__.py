"""Serve the predictions of all models: forecasts of key results, and predictions from named features."""
