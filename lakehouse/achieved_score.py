"""The score from which a key result counts as achieved, defined once for forecasts, the page, messages and SQL."""

ACHIEVED_SCORE = 0.7
# Scores are compared with this tolerance: as floats (70.41 - 66.56) / (72.06 - 66.56) is below 0.7, though it is 0.7.
TOLERANCE = 1e-9
