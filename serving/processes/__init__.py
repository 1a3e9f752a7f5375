"""The processes of `okr serve`: supervisor, workers, and how they start, drain and stop."""
