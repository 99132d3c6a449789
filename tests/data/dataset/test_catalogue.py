from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from seg.data.dataset.catalogue import Scene, band_indexes, read_catalogue
from seg.errors import ConfigError, DatasetError

HEADER = "image,mask,fold\n"


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes manifest.csv beside a.tif, b.tif and m.tif, and returns the folder."""

    def write(text: str, encoding: str = "utf-8") -> Path:
        touch(tmp_path, "a.tif", "b.tif", "m.tif")
        (tmp_path / "manifest.csv").write_bytes(text.encode(encoding))
        return tmp_path

    return write


def test_images_and_masks_are_matched_by_stem_for_any_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.jp2", "masks/a.png", "masks/b.TIF")
    pairs = [(scene.image.name, scene.mask.name) for scene in read_catalogue(tmp_path, 5)]
    assert pairs == [("a.tif", "a.png"), ("b.jp2", "b.TIF")]


def test_every_fifth_scene_is_in_one_fold(tmp_path: Path) -> None:
    for number in range(12):
        touch(tmp_path, f"images/{number:02d}.tif", f"masks/{number:02d}.tif")
    assert [scene.fold for scene in read_catalogue(tmp_path, 5)] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_files_that_are_not_rasters_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/a.tif.msk", "images/a.tif.aux.xml", "images/notes.txt", "masks/a.tif")
    assert [scene.image.name for scene in read_catalogue(tmp_path, 5)] == ["a.tif"]


def test_a_mask_without_an_image_is_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "masks/a.tif", "masks/b.tif")
    assert [scene.mask.name for scene in read_catalogue(tmp_path, 5)] == ["a.tif"]


def test_an_image_with_an_unsupported_ending_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.sid", "masks/a.tif", "masks/b.tif")
    with pytest.raises(DatasetError, match=r"images/b\.sid: has a mask, but its name .* wanted .*\.jpg"):
        read_catalogue(tmp_path, 5)


def test_a_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent: no such folder; name a dataset with images/ and masks/"):
        read_catalogue(tmp_path / "absent", 5)


def test_a_folder_without_images_is_an_error_with_the_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"images: no such folder; wanted a dataset with images/ and masks/"):
        read_catalogue(tmp_path, 5)


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DatasetError, match="has no scenes; wanted rasters in images/ and masks/"):
        read_catalogue(tmp_path, 5)


def test_an_image_without_a_mask_is_an_error_with_the_expected_mask(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.tif", "masks/b.tif")
    with pytest.raises(DatasetError, match=r"images/a\.tif: has no mask \(1 such image\); add .*masks/a\.tif"):
        read_catalogue(tmp_path, 5)


def test_two_images_of_one_stem_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/a.png", "masks/a.tif")
    with pytest.raises(DatasetError, match=r"images/a\.tif: has the same stem as a\.png; rename one of them"):
        read_catalogue(tmp_path, 5)


def test_zero_folds_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "masks/a.tif")
    with pytest.raises(ConfigError, match=r"data\.folds is 0; wanted 2 or more"):
        read_catalogue(tmp_path, 0)


def test_a_manifest_names_scenes_relative_to_its_folder(manifest: Callable[..., Path]) -> None:
    root = manifest(HEADER + "b.tif,m.tif,3\na.tif,m.tif,0\n")
    assert read_catalogue(root, 5) == [
        Scene(root / "a.tif", root / "m.tif", 0),
        Scene(root / "b.tif", root / "m.tif", 3),
    ]


def test_a_manifest_takes_precedence_over_the_two_folders(manifest: Callable[..., Path]) -> None:
    root = manifest(HEADER + "a.tif,m.tif,0\n")
    touch(root, "images/c.tif", "masks/c.tif")
    assert [scene.image.name for scene in read_catalogue(root, 5)] == ["a.tif"]


def test_additional_columns_of_a_manifest_are_ignored(manifest: Callable[..., Path]) -> None:
    root = manifest("note,fold,mask,image\nnear the river,2,m.tif,a.tif\n")
    assert read_catalogue(root, 5) == [Scene(root / "a.tif", root / "m.tif", 2)]


def test_a_manifest_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(manifest: Callable[..., Path]) -> None:
    root = manifest(HEADER + "a.tif,m.tif,0\n", encoding="utf-8-sig")
    assert len(read_catalogue(root, 5)) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,mask\na.tif,m.tif\n", r"has no column fold; wanted image, mask, fold"),
        ("", r"has no column fold, image, mask"),
        (HEADER, r"has no scenes; wanted .* lines in manifest\.csv"),
        (HEADER + "a.tif,m.tif,first\n", r"line 2 is \['a\.tif', 'm\.tif', 'first'\]; wanted image, mask, fold number"),
        (HEADER + "a\0.tif,m.tif,0\n", r"line 2 is \['a\\x00\.tif', 'm\.tif', '0'\]; wanted image, mask, fold number"),
        (HEADER + "a.tif,m.tif," + "9" * 5000 + "\n", r"line 2 is \['a\.tif', 'm\.tif', '9{80}\.\.\.'\]; wanted image"),
        (HEADER + "a.tif,m.tif,0\nb.tif\n", r"line 3 is \['b\.tif', None, None\]; wanted image, mask, fold number"),
        (HEADER + "a.tif,m.tif,5\n", r"has the folds \[5\], but data\.folds 5 allows only 0 to 4"),
        (HEADER + "a.tif,m.tif,-1\n", r"has the folds \[-1\], but data\.folds 5 allows only 0 to 4"),
        (HEADER + "c.tif,m.tif,0\n", r"line 2 names .*c\.tif, which does not exist; correct the line"),
        (HEADER + "a.tif,n.tif,0\n", r"line 2 names .*n\.tif, which does not exist"),
        (HEADER + "a.tif,m.tif,0\n./a.tif,m.tif,1\n", r"lists .*a\.tif twice, so two folds could contain it"),
    ],
    ids=[
        "no fold column",
        "empty file",
        "no line",
        "fold is a word",
        "NUL in a path",
        "fold of 5000 digits",
        "short line",
        "fold too high",
        "negative fold",
        "no such image",
        "no such mask",
        "same image twice",
    ],
)
def test_a_wrong_manifest_is_an_error_with_the_problem(manifest: Callable[..., Path], text: str, problem: str) -> None:
    with pytest.raises(DatasetError, match=problem):
        read_catalogue(manifest(text), 5)


def test_a_manifest_in_another_encoding_is_refused(manifest: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.csv: not a CSV file in UTF-8 or GBK .*; save it as CSV"):
        read_catalogue(manifest(HEADER + "é.tif,m.tif,0\n", encoding="latin1"), 5)


Images = Callable[..., list[Scene]]


@pytest.fixture
def images(write_raster: Callable[..., Path], tmp_path: Path) -> Images:
    """A function that gives one scene for each sequence of band names."""

    def make(*names: Sequence[str]) -> list[Scene]:
        scenes = []
        for number, descriptions in enumerate(names):
            pixels = np.zeros((len(descriptions), 2, 2), dtype=np.uint8)
            path = write_raster(tmp_path / f"{number}.tif", pixels, descriptions=descriptions)
            scenes.append(Scene(path, path, 0))
        return scenes

    return make


def test_names_are_found_in_any_case_and_in_the_given_order(images: Images) -> None:
    scenes = images(["Blue", "Green", "Red", "NIR"], ["blue", "green", "red", "nir"])
    assert band_indexes(scenes, ["nir", "RED", "blue"]) == [4, 3, 1]


def test_names_and_indexes_may_be_mixed(images: Images) -> None:
    assert band_indexes(images(["red", "", "nir"]), ["nir", 2]) == [3, 2]


def test_indexes_need_no_image() -> None:
    absent = Path("absent.tif")
    assert band_indexes([Scene(absent, absent, 0)], [3, 9]) == [3, 9]


def test_an_image_may_have_additional_bands(images: Images) -> None:
    assert band_indexes(images(["red", "nir"], ["red", "nir", "swir"]), ["nir"]) == [2]


@pytest.mark.parametrize(
    ("names", "wanted", "problem"),
    [
        (
            [["red", "nir"]],
            "green",
            r"0\.tif: has no band named 'green'; its bands are red, nir; set data\.bands",
        ),
        ([["red", "nir"]], "", r"has no band named '';"),
        ([["", ""]], "red", r"0\.tif: has no band named 'red'; none of its 2 bands has a name; set .* indexes from 1"),
        ([["red", "Red"]], "red", r"0\.tif: has 2 bands named 'red'; its bands are red, Red"),
        ([["red", "nir"], ["red", "swir"]], "nir", r"1\.tif: has no band named 'nir'; its bands are red, swir"),
        (
            [["red", "nir"], ["nir", "red"]],
            "nir",
            r"1\.tif: 'nir' is band 1, but band 2 in .*0\.tif; wanted one band order",
        ),
        ([[f"b{n}" for n in range(30)]], "c", r"its bands are b0, .*b19, \.\.\.; set"),
    ],
)
def test_a_missing_or_ambiguous_band_is_refused(
    images: Images, names: list[list[str]], wanted: str, problem: str
) -> None:
    with pytest.raises(DatasetError, match=problem):
        band_indexes(images(*names), [wanted])
