"""The lowest score that counts as achieved, defined once for forecasts, the web page, messages and SQL."""

ACHIEVED_SCORE = 0.7
# Tolerance for comparing scores: in floating point, (70.41 - 66.56) / (72.06 - 66.56) is slightly less than 0.7.
TOLERANCE = 1e-9
