"""Forecast key results: train, evaluate, register, promote and explain models."""
