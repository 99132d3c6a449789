from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seg.errors import PackageError
from seg.package.description import SCREENER
from seg.package.read import load_model, read_package
from seg.package.screener import Screener, add_screener, read_screener
from seg.package.write import write_derived
from support.screeners import green_screener, write_screened_package


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_screened_package(tmp_path / "model")


def kept(folder: Path) -> Screener:
    found = read_screener(folder, read_package(folder))
    assert found is not None
    return found


def test_a_package_keeps_its_screener_exactly(package: Path) -> None:
    found, wanted = kept(package), green_screener()
    assert found.sha256 == read_package(package).screener_sha256
    for name in ("geometry", "places", "otsu", "limit", "cut", "alpha", "scenes", "screened", "lost"):
        assert getattr(found, name) == getattr(wanted, name)
    np.testing.assert_array_equal(found.covariance, wanted.covariance)
    features = np.random.default_rng(0).random((50, 25))
    np.testing.assert_array_equal(found.logits(features), wanted.logits(features))


def test_logits_do_not_depend_on_the_number_of_cells() -> None:
    random = np.random.default_rng(1)
    layers = ((random.normal(size=(32, 25)), random.normal(size=32)), (random.normal(size=(1, 32)), np.zeros(1)))
    screener, features = green_screener(layers=layers), random.random((100, 25))
    one_by_one = np.concatenate([screener.logits(features[place : place + 1]) for place in range(100)])
    np.testing.assert_array_equal(screener.logits(features), one_by_one)
    hidden = np.maximum(features @ layers[0][0].T + layers[0][1], 0)
    np.testing.assert_allclose(one_by_one, hidden @ layers[1][0][0], rtol=1e-12)


def test_the_distance_is_that_of_mahalanobis() -> None:
    random = np.random.default_rng(2)
    covariance = np.cov(random.normal(size=(25, 200)))
    screener, features = green_screener(covariance=covariance, mean=np.ones(25)), random.random((9, 25))
    apart = features - 1
    wanted = np.sqrt((apart @ np.linalg.inv(covariance) * apart).sum(axis=1) / 25)
    np.testing.assert_allclose(screener.distances(features), wanted, rtol=1e-9)


def test_a_screener_that_screens_nothing_says_so(package: Path) -> None:
    add_screener(package, replace(green_screener(), cut=-np.inf, scenes=3))
    assert str(kept(package)) == "no cell is screened, since 3 held-out scenes do not suffice for a risk of 0.001"


def test_a_damaged_screener_is_refused(package: Path) -> None:
    description = read_package(package)
    (package / SCREENER).write_bytes(b"x")
    with pytest.raises(PackageError, match="is not the file that"):
        read_screener(package, description)
    (package / SCREENER).unlink()
    with pytest.raises(PackageError, match="missing or damaged"):
        read_screener(package, description)


def test_an_adapted_package_has_no_screener(package: Path) -> None:
    description = read_package(package)
    adapted = write_derived(load_model(package, description), description, package)
    assert adapted.screener_sha256 is None
    assert not (package / SCREENER).exists()
