"""The estimator compared with published examples and with manual calculations."""

import numpy as np
import pytest

from seg.evaluation.area.estimator import Estimate, StratifiedSample, Stratum

# Olofsson et al. (2014), https://doi.org/10.1016/j.rse.2014.02.015, section 5 and table 8: deforestation, forest gain,
# stable forest, stable non-forest; mapped in rows. The R package mapaccuracy, by other authors, has the same figures:
# https://search.r-project.org/CRAN/refmans/mapaccuracy/html/olofsson.html.
PAPER = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PAPER_PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)
HECTARES_A_PIXEL = 0.09
Z = 1.96


def sample_of(matrix: np.ndarray, areas: tuple[float, ...], pixels: tuple[int | None, ...]) -> StratifiedSample:
    mapped, reference = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices(matrix.shape))
    strata = [Stratum(str(place), area, count) for place, (area, count) in enumerate(zip(areas, pixels, strict=True))]
    return StratifiedSample(strata, mapped, mapped, reference)


@pytest.fixture
def paper() -> StratifiedSample:
    return sample_of(PAPER, tuple(HECTARES_A_PIXEL * pixels for pixels in PAPER_PIXELS), (None,) * 4)


def test_worked_example_has_the_areas_of_the_paper_in_hectares(paper: StratifiedSample) -> None:
    found = [paper.area(label) for label in range(4)]
    assert [round(area.value) for area in found] == [21_158, 11_686, 285_770, 581_386]
    assert [round(Z * area.standard_error) for area in found] == [6_158, 3_756, 15_510, 16_282]
    assert round(found[0].standard_error) == 3_142


def test_worked_example_has_the_areas_of_the_paper_in_pixels() -> None:
    deforestation = sample_of(PAPER, PAPER_PIXELS, (None,) * 4).area(0)
    assert round(deforestation.value) == 235_086
    assert round(Z * deforestation.standard_error) == 68_418


def test_worked_example_has_the_accuracies_of_the_paper(paper: StratifiedSample) -> None:
    overall = paper.overall_accuracy()
    users, producers = ([f(label) for label in range(4)] for f in (paper.users_accuracy, paper.producers_accuracy))
    assert (round(overall.value, 3), round(Z * overall.standard_error, 3)) == (0.947, 0.018)
    assert [round(one.value, 2) for one in users if one] == [0.88, 0.73, 0.93, 0.96]
    assert [round(Z * one.standard_error, 2) for one in users if one] == [0.07, 0.10, 0.04, 0.02]
    assert [round(one.value, 2) for one in producers if one] == [0.75, 0.85, 0.93, 0.96]
    # Equation 7, with four digits from other implementations.
    halves = [round(Z * one.standard_error, 4) for one in producers if one]
    assert halves == [0.2133, 0.2544, 0.0343, 0.0184]


def test_worked_example_has_the_error_matrix_of_the_paper(paper: StratifiedSample) -> None:
    expected = [
        [0.0176, 0, 0.0013, 0.0011],
        [0, 0.0110, 0.0016, 0.0024],
        [0.0019, 0, 0.2967, 0.0213],
        [0.0040, 0.0020, 0.0179, 0.6212],
    ]
    np.testing.assert_array_equal(paper.proportions(range(4)).round(4), expected)
    np.testing.assert_array_equal(paper.confusion(range(4)), PAPER)


def test_strata_that_differ_from_the_classes_of_the_map_give_the_example_of_stehman() -> None:
    # Stehman (2014), https://doi.org/10.1080/01431161.2014.930207, section 4: ten pixels from each of four strata. More
    # digits are in https://search.r-project.org/CRAN/refmans/mapaccuracy/html/stehman2014.html.
    def labels(text: str) -> np.ndarray:
        return np.array(["ABCD".index(letter) for letter in text])

    sample = StratifiedSample(
        [Stratum(name, pixels, pixels) for name, pixels in zip("ABCD", (40_000, 30_000, 20_000, 10_000), strict=True)],
        labels("A" * 10 + "B" * 10 + "C" * 10 + "D" * 10),
        labels("A" * 7 + "B" * 3 + "A" + "B" * 11 + "C" * 6 + "B" * 2 + "D" * 10),
        labels("AAAAACBABCA" + "B" * 5 + "AABB" + "C" * 5 + "DDBBA" + "D" * 7 + "CCB"),
    )
    users, producers = sample.users_accuracy(1), sample.producers_accuracy(1)
    assert users is not None
    assert producers is not None
    found = [sample.area(0).times(1e-5), sample.area(2).times(1e-5), sample.overall_accuracy(), users, producers]
    assert [one.value for one in found] == pytest.approx([0.35, 0.20, 0.63, 0.5744681, 0.7941176], abs=1e-7)
    errors = [0.0822478, 0.06427977, 0.08464219, 0.1247822, 0.1165479]
    assert [one.standard_error for one in found] == pytest.approx(errors, abs=1e-7)
    assert sample.proportions(range(4))[1, 2] == pytest.approx(0.08)


def test_equal_pixel_areas_change_nothing(paper: StratifiedSample) -> None:
    weighted = StratifiedSample(
        paper.strata, paper.stratum, paper.mapped, paper.reference, np.full(len(paper.stratum), 900.0)
    )
    for one, other in ((paper.area(0), weighted.area(0)), (paper.overall_accuracy(), weighted.overall_accuracy())):
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-12)


def test_unequal_pixel_areas_follow_the_ratio_estimator() -> None:
    # Cochran (1977), equations 6.1 and 6.13: R = sum(y) / sum(x), residuals y - R x.
    area, crop = np.array([1.0, 2, 3, 4]), np.array([1, 0, 1, 1])
    sample = StratifiedSample([Stratum("all", 500.0)], np.zeros(4, int), np.zeros(4, int), crop, area)
    ratio = (area * crop).sum() / area.sum()
    error = np.sqrt(((area * crop - ratio * area) ** 2).sum() / 3 / 4) / area.mean()
    assert sample.area(1).value == pytest.approx(500 * ratio)
    assert sample.area(1).standard_error == pytest.approx(500 * error)


def test_fully_sampled_stratum_adds_no_error() -> None:
    matrix = np.array([[3, 2], [20, 80]])
    part, whole = (sample_of(matrix, (5.0, 1000.0), (pixels, 1_000_000)) for pixels in (500_000, 5))
    assert whole.area(0).standard_error < part.area(0).standard_error
    census = sample_of(matrix, (5.0, 100.0), (5, 100))
    assert census.area(0) == Estimate(pytest.approx(23.0), 0.0, 105.0)


def test_accuracy_of_a_class_that_does_not_occur_is_undefined() -> None:
    sample = sample_of(np.array([[0, 0], [0, 9]]), (0.5, 9.0), (1, None))
    assert sample.users_accuracy(0) is None
    assert sample.producers_accuracy(0) is None


def test_intervals_stay_within_the_possible_range() -> None:
    assert Estimate(0.99, 0.02).interval() == (pytest.approx(0.99 - 0.0392, abs=1e-4), 1.0)
    assert Estimate(1.0, 5.0, 40.0).interval(0.9) == (0.0, pytest.approx(9.224, abs=1e-3))
