"""Serve forecasts of key results by the champion model, or by the pacing rule while there is no champion."""
