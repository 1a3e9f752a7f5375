import numpy as np

from ml.interval import agree


def test_an_interval_never_contradicts_its_probability():
    low, high = np.array([0.1, 0.1, 0.9, 0.2, 0.75]), np.array([1.0, 1.0, 1.0, 0.5, 0.9])
    probability = np.array([0.01, 0.5, 0.99, 0.99, 0.01])
    agreed = agree(low, high, probability, 0.9)
    assert agreed[0].tolist() == [0.1, 0.1, 0.9, 0.7, 0.7]
    assert agreed[1].tolist() == [0.7, 1.0, 1.0, 0.7, 0.7]
