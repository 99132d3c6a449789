"""Maximum-likelihood fit of temperature and bias to counted logits."""

import math
from typing import NamedTuple

import numpy as np
from scipy import optimize

from seg.calibration.curves import Counts, Values
from seg.calibration.histogram import CENTRES, LIMIT
from seg.calibration.scaling import IDENTITY, Scaling, sigmoid

SMALLEST, LARGEST = 0.05, 20.0
LARGEST_BIAS = LIMIT
"""Bounds of temperature and bias; a result outside the bounds counts as overfitted."""

_TOLERANCE = 1e-10
"""Tolerance of the solvers, larger than the rounding error of the sums."""


class Fit(NamedTuple):
    """Result of a fit.

    Attributes:
        scaling: Fitted temperature and bias.
        reason: Reason why a requested temperature or bias is left out; empty if nothing is left out.
    """

    scaling: Scaling
    reason: str = ""


def fit_scaling(counts: Counts, *, temperature: bool = True, bias: bool = True) -> Fit:
    """Fit the scaling with the smallest negative log-likelihood of the labels.

    If the joint fit of temperature and bias fails, only the temperature is fitted. If this fit fails too, the logits
    are not scaled.

    Args:
        counts: (2, BINS) pixels by label and bin of the logit.
        temperature: Fit a temperature; if False, the temperature is 1.
        bias: Fit a bias; if False, the bias is 0.

    Temperature alone is temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks,
    https://arxiv.org/abs/1706.04599). Temperature with bias is Platt scaling, a logistic regression on the logit (Platt
    1999, Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood Methods), also
    called bias-corrected temperature scaling (Alexandari, Kundaje and Shrikumar 2020,
    https://arxiv.org/abs/1901.06852). A loss such as Dice, which does not weight the classes by frequency, shifts all
    logits; only a bias corrects this shift.
    """
    if not temperature and not bias:
        return Fit(IDENTITY)
    other, cropland = int(counts[0].sum()), int(counts[1].sum())
    if not other or not cropland:
        reason = "no pixel has a label" if other == cropland else f"every label is {'other' if other else 'cropland'}"
        return Fit(IDENTITY, reason)
    if not bias:
        return _fit_temperature(counts)
    if not temperature:
        return _fit_bias(counts)
    both = _fit_both(counts)
    if not both.reason:
        return both
    alone = _fit_temperature(counts)
    return alone if alone.reason else Fit(alone.scaling, f"bias left out: {both.reason}")


def log_loss(counts: Counts, scaling: Scaling) -> float:
    """Negative log-likelihood of the labels given scaled logits, summed over (2, BINS) pixel counts."""
    logits = scaling.logits(CENTRES)
    return float((counts.sum(axis=0) * np.logaddexp(0, logits) - counts[1] * logits).sum())


def _fit_temperature(counts: Counts) -> Fit:
    """Fit only the temperature.

    The negative log-likelihood is convex in 1/temperature, so it has at most one minimum.
    """

    # Solve for log(1/temperature), so that the tolerance is a relative error of the temperature.
    def slope(log_sharpness: float) -> float:
        return float((CENTRES * _surplus(counts, math.exp(log_sharpness) * CENTRES)).sum())

    if not slope(-math.log(LARGEST)) < 0:
        return Fit(IDENTITY, "the logits do not predict the labels")
    if not slope(-math.log(SMALLEST)) > 0:
        return Fit(IDENTITY, "the logits separate the labels perfectly")
    return Fit(Scaling(math.exp(-optimize.brentq(slope, -math.log(LARGEST), -math.log(SMALLEST), xtol=_TOLERANCE))))


def _fit_bias(counts: Counts) -> Fit:
    """Fit only the bias; at the minimum, the sum of the probabilities equals the number of cropland pixels."""

    def slope(bias: float) -> float:
        return float(_surplus(counts, CENTRES + bias).sum())

    if not slope(-LARGEST_BIAS) < 0 < slope(LARGEST_BIAS):
        return Fit(IDENTITY, f"the bias would exceed {LARGEST_BIAS:g}")
    return Fit(Scaling(1.0, float(optimize.brentq(slope, -LARGEST_BIAS, LARGEST_BIAS, xtol=_TOLERANCE))))


def _fit_both(counts: Counts) -> Fit:
    """Fit 1/temperature and bias jointly; the negative log-likelihood is convex in these two.

    A minimum exists only if the logits of the two labels overlap; see Albert and Anderson (1984), On the Existence of
    Maximum Likelihood Estimates in Logistic Regression Models.
    """
    other, cropland = (np.flatnonzero(row) for row in counts)
    if other[0] == other[-1] == cropland[0] == cropland[-1]:
        return Fit(IDENTITY, "all logits are equal")
    if other[-1] <= cropland[0]:
        return Fit(IDENTITY, "the logits separate the labels perfectly")
    if cropland[-1] <= other[0]:
        return Fit(IDENTITY, "the logits do not predict the labels")
    sharpness, bias = _minimum(counts)
    if sharpness < 1 / LARGEST:
        return Fit(IDENTITY, "the logits do not predict the labels")
    if sharpness > 1 / SMALLEST or abs(bias) > LARGEST_BIAS:
        return Fit(IDENTITY, f"temperature would be {1 / sharpness:.2g} and bias {bias:.2g}, out of bounds")
    return Fit(Scaling(1 / sharpness, bias))


def _minimum(counts: Counts) -> tuple[float, float]:
    """1/temperature and bias with the smallest negative log-likelihood."""
    filled = counts.any(axis=0)
    terms = np.stack([CENTRES[filled], np.ones(int(filled.sum()))])
    weight: Values = counts[:, filled].sum(axis=0) / counts.sum()
    cropland: Values = counts[1, filled] / counts.sum()

    def loss(point: Values) -> float:
        logits = point @ terms
        return float((weight * np.logaddexp(0, logits) - cropland * logits).sum())

    def gradient(point: Values) -> Values:
        return np.asarray(terms @ (weight * sigmoid(point @ terms) - cropland))

    def curvature(point: Values) -> Values:
        probability = sigmoid(point @ terms)
        return np.asarray((terms * (weight * probability * (1 - probability))) @ terms.T)

    # Start with every probability at the cropland share, so that none is near 0 or 1.
    start = np.array([0.0, math.log(cropland.sum() / (1 - cropland.sum()))])
    options = {"gtol": _TOLERANCE}
    approximate = optimize.minimize(loss, start, jac=gradient, hess=curvature, method="trust-exact", options=options).x
    # Rounding limits the accuracy of a minimum to half the digits; the root of the gradient is accurate to all digits.
    sharpness, bias = optimize.root(gradient, approximate, jac=curvature, tol=_TOLERANCE).x
    return float(sharpness), float(bias)


def _surplus(counts: Counts, logits: Values) -> Values:
    """Expected minus observed cropland pixels in each bin."""
    surplus: Values = counts.sum(axis=0) * sigmoid(logits) - counts[1]
    return surplus
