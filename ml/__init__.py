"""Forecasts of key results: features read, models trained and judged, registered, promoted and explained."""
