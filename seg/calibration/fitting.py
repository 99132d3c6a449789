"""The temperature and the bias with which probabilities say how often they are right."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seg.calibration.histogram import (
    CENTRES,
    LIMIT,
    Counts,
    Values,
)
from seg.calibration.scaling import IDENTITY, Scaling, sigmoid

SMALLEST, LARGEST = 0.05, 20.0
LARGEST_BIAS = LIMIT
"""Bounds of temperature and bias: what lies beyond was fitted to chance."""
_BISECTIONS = 60
_NEWTON_STEPS = 50
_HALVINGS = 40
_CONVERGED = 1e-14
"""Decrease of the loss a pixel that the last step promises: less than rounding could show."""


class Fit(NamedTuple):
    """A fitted scaling.

    Attributes:
        scaling: What to do to logits.
        reason: Why some of what was asked for could not be fitted and was left out; else empty.
    """

    scaling: Scaling
    reason: str = ""


def fit_scaling(counts: Counts, *, temperature: bool = True, bias: bool = True) -> Fit:
    """The scaling with the smallest negative log-likelihood of the labels.

    Where both temperature and bias are wanted but cannot be had, the temperature alone is fitted, and where that cannot
    be, logits stay as they are.

    Args:
        counts: (2, BINS) pixels by label and bin of the logit.
        temperature: Fit one; it is 1 otherwise.
        bias: Fit one; it is 0 otherwise.

    Both together are a logistic regression on the logit: Platt (1999), Probabilistic Outputs for Support Vector
    Machines and Comparisons to Regularized Likelihood Methods. The temperature alone is that of Guo et al. (2017), On
    Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599, and the bias what Alexandari, Kundaje and
    Shrikumar (2020), https://arxiv.org/abs/1901.06852, add to it: bias-corrected temperature scaling. A loss that
    weighs the classes otherwise than they occur, as Dice does, moves all logits, which no temperature moves back.
    """
    if not temperature and not bias:
        return Fit(IDENTITY)
    other, cropland = int(counts[0].sum()), int(counts[1].sum())
    if not other or not cropland:
        what = "no pixel has a label" if other == cropland else f"every label is {'other' if other else 'cropland'}"
        return Fit(IDENTITY, what)
    if not bias:
        return _fit_temperature(counts)
    if not temperature:
        return _fit_bias(counts)
    both = _fit_both(counts)
    if not both.reason:
        return both
    alone = _fit_temperature(counts)
    return alone if alone.reason else Fit(alone.scaling, f"no bias, since {both.reason}")


def log_loss(counts: Counts, scaling: Scaling) -> float:
    """The negative log-likelihood of the labels under scaled logits, summed over (2, BINS) pixels."""
    logits = scaling.logits(CENTRES)
    return float((counts.sum(axis=0) * np.logaddexp(0, logits) - counts[1] * logits).sum())


def _fit_temperature(counts: Counts) -> Fit:
    """The likelihood is convex in 1/temperature: there is one minimum, if any lies between the bounds."""

    def slope(sharpness: float) -> float:
        return float((CENTRES * _surplus(counts, sharpness * CENTRES)).sum())

    if not slope(1 / LARGEST) < 0:
        return Fit(IDENTITY, "the logits say nothing about the labels")
    if not slope(1 / SMALLEST) > 0:
        return Fit(IDENTITY, "the logits separate the labels without an error")
    # Bisected in the logarithm: what matters of a temperature is its ratio to another.
    found = _root(lambda exponent: slope(math.exp(exponent)), -math.log(LARGEST), -math.log(SMALLEST))
    return Fit(Scaling(math.exp(-found)))


def _fit_bias(counts: Counts) -> Fit:
    """The sum of the probabilities rises with the bias; it must be the number of pixels of cropland."""

    def slope(bias: float) -> float:
        return float(_surplus(counts, CENTRES + bias).sum())

    if not slope(-LARGEST_BIAS) < 0 < slope(LARGEST_BIAS):
        return Fit(IDENTITY, f"the bias would be beyond {LARGEST_BIAS:g}")
    return Fit(Scaling(1.0, _root(slope, -LARGEST_BIAS, LARGEST_BIAS)))


def _fit_both(counts: Counts) -> Fit:
    """The minimum in (1/temperature, bias), where the likelihood is convex.

    There is exactly one if and only if the logits of the two labels overlap, see Albert and Anderson (1984), On the
    Existence of Maximum Likelihood Estimates in Logistic Regression Models.
    """
    other, cropland = (np.flatnonzero(row) for row in counts)
    if other[0] == other[-1] == cropland[0] == cropland[-1]:
        return Fit(IDENTITY, "all logits are the same")
    if other[-1] <= cropland[0]:
        return Fit(IDENTITY, "the logits separate the labels without an error")
    if cropland[-1] <= other[0]:
        return Fit(IDENTITY, "the logits say nothing about the labels")
    sharpness, bias = _newton(counts)
    if sharpness < 1 / LARGEST:
        return Fit(IDENTITY, "the logits say nothing about the labels")
    if sharpness > 1 / SMALLEST or abs(bias) > LARGEST_BIAS:
        return Fit(IDENTITY, f"temperature would be {1 / sharpness:.2g} and bias {bias:.2g}, out of bounds")
    return Fit(Scaling(1 / sharpness, bias))


def _newton(counts: Counts) -> tuple[float, float]:
    """1/temperature and bias by Newton's method, each step halved until the loss falls as it should."""
    filled = counts.any(axis=0)
    counts, terms = counts[:, filled], np.stack([CENTRES[filled], np.ones(int(filled.sum()))])
    weight: Values = counts.sum(axis=0) / counts.sum()
    cropland: Values = counts[1] / counts.sum()

    def loss(at: Values) -> float:
        logits = at @ terms
        return float((weight * np.logaddexp(0, logits) - cropland * logits).sum())

    # From the plain share of cropland: there no probability is near 0 or 1, so the first step is a good one.
    at = np.array([0.0, math.log(cropland.sum() / (1 - cropland.sum()))])
    for _ in range(_NEWTON_STEPS):
        probability = sigmoid(at @ terms)
        gradient = terms @ (weight * probability - cropland)
        curvature = (terms * (weight * probability * (1 - probability))) @ terms.T
        step = -np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        promised = float(gradient @ step)
        if promised > -_CONVERGED:
            at = at + step
            break
        before = loss(at)
        factors = (0.5**halving for halving in range(_HALVINGS))
        at = at + step * next((f for f in factors if loss(at + f * step) <= before + f * promised / 4), 0.0)
    return float(at[0]), float(at[1])


def _surplus(counts: Counts, logits: Values) -> Values:
    """How many more pixels of cropland the probability of each bin says than there are."""
    surplus: Values = counts.sum(axis=0) * sigmoid(logits) - counts[1]
    return surplus


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function of a number is 0, by bisection."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return float((low + high) / 2)
