"""Forecasts of key results by the champion model, or by the pacing rule where there is none."""
