"""Pictures whose label is probably wrong, by confident learning (Northcutt, Jiang, Chuang 2021)."""

from __future__ import annotations

import numpy as np


def probable_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the pictures whose label the model contradicts as surely as it agrees elsewhere, the surest first.

    `probabilities` is (N, C), `labels` (N,). A class is claimed for a picture where its probability is at least the
    mean that pictures labelled so get. A picture counts where the likeliest claimed class is another one than its
    label's. Nothing is sure: the model may be the one that errs, so somebody has to look.

    >>> sure = np.array([[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 4)
    >>> probable_label_errors(sure, np.array([0, 0, 0, 1, 1, 1, 1, 1]))
    array([3])
    """
    rows = np.arange(len(labels))
    given = probabilities[rows, labels]
    means = np.full(probabilities.shape[1], np.inf)  # a class without pictures is never claimed
    for label in np.unique(labels):
        means[label] = given[labels == label].mean()
    claimed = np.where(probabilities >= means, probabilities, -1.0)
    likeliest = claimed.argmax(axis=1)
    found = np.flatnonzero((claimed.max(axis=1) > 0) & (likeliest != labels))
    margins = probabilities[found, likeliest[found]] - given[found]
    found, margins = found[margins > 0], margins[margins > 0]
    return found[np.argsort(-margins, kind="stable")]
