from pathlib import Path

import numpy as np
import pytest

from seg.errors import PackageError
from seg.files import sha256
from seg.package.arrays import add_arrays, read_arrays
from seg.package.description import FEATURES
from seg.package.read import read_package
from support.packages import write_tiny_package

VALUES = {"mean": np.array([1.5, -2.0])}


def test_arrays_are_read_as_they_were_added_and_the_description_has_their_hash(tmp_path: Path) -> None:
    folder = write_tiny_package(tmp_path / "package")
    described = add_arrays(folder, FEATURES, VALUES, "features_sha256")
    assert read_package(folder) == described
    assert described.features_sha256 == sha256(folder / FEATURES)
    found = read_arrays(folder / FEATURES, sha256(folder / FEATURES), "export again")
    assert found["mean"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("damage", ["changed", "truncated", "missing"])
def test_a_damaged_file_is_refused_in_a_line_with_the_remedy(tmp_path: Path, damage: str) -> None:
    folder = write_tiny_package(tmp_path / "package")
    add_arrays(folder, FEATURES, VALUES, "features_sha256")
    path = folder / FEATURES
    expected = sha256(path)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:9])
    if damage == "truncated":  # The description was written for the truncated file.
        expected = sha256(path)
    with pytest.raises(PackageError, match=rf"{FEATURES}: .*; export again$"):
        read_arrays(path, expected, "export again")
