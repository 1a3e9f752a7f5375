"""The cache of forecasts in Redis: state and clear."""
