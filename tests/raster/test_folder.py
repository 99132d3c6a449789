from pathlib import Path

import pytest

from seg.errors import DatasetError
from seg.raster.folder import by_stem, files_in, first_by_stem, unrecognised_file


def test_files_with_a_raster_suffix_are_found(tmp_path: Path) -> None:
    for name in ("b.TIF", "a.vrt", "a.txt", "c.tif.aux.xml"):
        (tmp_path / name).touch()
    assert [path.name for path in files_in(tmp_path)] == ["a.vrt", "b.TIF"]
    assert [path.name for path in files_in(tmp_path, (".txt",))] == ["a.txt"]


def test_files_are_found_by_their_stems(tmp_path: Path) -> None:
    files = [tmp_path / "b.tif", tmp_path / "a.tif"]
    assert by_stem(files) == first_by_stem(files) == {"b": files[0], "a": files[1]}


def test_two_files_of_one_stem_are_refused_or_the_first_counts(tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "a.tif"]
    with pytest.raises(DatasetError, match=r"a\.tif: has the same stem as a\.png; rename one of them"):
        by_stem(files)
    assert first_by_stem(files) == {"a": files[0]}


def test_jpegs_and_binary_rasters_are_scenes(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPEG", "c.dat", "c.hdr", "d", "d.hdr", "e.bsq", "e.bsq.hdr", "f.bmp"):
        (tmp_path / name).touch()
    assert [path.name for path in files_in(tmp_path)] == ["a.jpg", "b.JPEG", "c.dat", "d", "e.bsq", "f.bmp"]


def test_hidden_files_previews_and_headerless_binary_files_are_not_scenes(tmp_path: Path) -> None:
    for name in ("._a.tif", ".hidden.tif", "a.tiff", "a.jpg", "a_thumb.jpg", "log.dat", "README"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert [path.name for path in files_in(tmp_path)] == ["a.tiff"]


def test_an_unknown_suffix_differs_from_sidecars(tmp_path: Path) -> None:
    for name in ("a.tif", "a.tfw", "a.hdr", "a.tif.aux.xml", "b.sid", "c.txt"):
        (tmp_path / name).touch()
    found = [unrecognised_file(tmp_path, stem) for stem in ("a", "b", "c", "d[1]")]
    assert found == [None, tmp_path / "b.sid", None, None]
