"""Choice of a recipe on the cycle before the held-out one, so that the last cycle judges what never looked at it."""

from dataclasses import replace

from ml.evaluate import log_loss
from ml.recipe import Recipe
from ml.rows import Rows
from ml.split import labelled, split_at, tuning_period
from ml.train import NothingToLearn, fit


def candidates(base: Recipe) -> tuple[Recipe, ...]:
    """Return the recipes to compare: the base, and more but flatter trees."""
    return base, replace(base, depth=2, rounds=200)


def choose(history: Rows, base: Recipe) -> Recipe:
    """Return the recipe with the lowest log loss on a large cycle before the held-out one; the base without one.

    The first of equals wins, so that the same history gives the same recipe.
    """
    period = tuning_period(history)
    if period is None:
        return base
    split = split_at(history, period)
    train, test = history.take(split.train), history.take(split.test & labelled(history))
    try:
        losses = [log_loss(test.outcomes(), fit(train, recipe).probabilities(test)) for recipe in candidates(base)]
    except NothingToLearn:
        return base
    return candidates(base)[losses.index(min(losses))]
