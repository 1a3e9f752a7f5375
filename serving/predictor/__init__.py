"""Forecast key results with the champion, or with the pacing rule while there is no champion."""
