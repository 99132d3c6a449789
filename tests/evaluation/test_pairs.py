from pathlib import Path

import pytest

from seg.errors import ConfigError, DatasetError
from seg.evaluation.pairs import (
    FoldSelection,
    Inputs,
    Pair,
    Strata,
    find_pairs,
)


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    names = ("b.tif", "a.tif", "a_probability.tif", "a_uncertainty.tif", "a_b.tif", "notes.txt")
    return touch(tmp_path / "maps", *names)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    return touch(tmp_path / "masks", "a.png", "b.gpkg", "a_b.tif")


def test_one_map_is_compared_with_one_reference() -> None:
    pair = Pair("map", Path("map.tif"), Path("other_name.tif"))
    assert find_pairs(Inputs(Path("map.tif"), Path("other_name.tif"))).pairs == [pair]


def test_folders_are_matched_by_stem_and_sorted(maps: Path, masks: Path) -> None:
    found = find_pairs(Inputs(maps, masks))
    assert [(pair.name, pair.prediction.name, pair.reference.name) for pair in found.pairs] == [
        ("a", "a.tif", "a.png"),
        ("a_b", "a_b.tif", "a_b.tif"),
        ("b", "b.tif", "b.gpkg"),
    ]
    assert (found.lone_predictions, found.lone_references) == ([], [])


def test_probability_map_beside_the_map_is_found(maps: Path, masks: Path) -> None:
    found = {pair.name: pair.probability for pair in find_pairs(Inputs(maps, masks)).pairs}
    assert found == {"a": maps / "a_probability.tif", "a_b": None, "b": None}
    assert find_pairs(Inputs(maps / "a.tif", masks / "a.png")).pairs[0].probability == maps / "a_probability.tif"


def test_files_of_a_probability_folder_have_the_stem_of_the_map_or_an_added_ending(
    maps: Path, masks: Path, tmp_path: Path
) -> None:
    folder = touch(tmp_path / "percent", "a_probability.tif", "b.tif", "a_b.tif")
    found = {pair.name: pair.probability for pair in find_pairs(Inputs(maps, masks, probability=folder)).pairs}
    assert found == {"a": folder / "a_probability.tif", "a_b": folder / "a_b.tif", "b": folder / "b.tif"}


def test_files_without_a_partner_are_reported(maps: Path, masks: Path) -> None:
    touch(maps, "only_map.tif")
    touch(masks, "only_mask.tif")
    found = find_pairs(Inputs(maps, masks))
    assert (found.lone_predictions, found.lone_references) == (["only_map"], ["only_mask"])


def test_one_vector_file_serves_every_map(maps: Path) -> None:
    pairs = find_pairs(Inputs(maps, Path("county.gpkg"), strata=Path("soil.geojson"), stratum_attribute="type")).pairs
    assert {pair.reference for pair in pairs} == {Path("county.gpkg")}
    assert {pair.strata for pair in pairs} == {Strata(Path("soil.geojson"), "type")}


def test_fold_applies_to_every_pair(maps: Path, masks: Path, tmp_path: Path) -> None:
    folds = touch(tmp_path / "folds", "a.tif", "b.tif", "a_b.tif")
    pairs = find_pairs(Inputs(maps, masks, folds=folds, fold=2)).pairs
    assert [pair.within for pair in pairs] == [FoldSelection(folds / f"{name}.tif", 2) for name in ("a", "a_b", "b")]


def test_map_without_a_requested_file_is_an_error(maps: Path, masks: Path, tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.tif")
    with pytest.raises(ConfigError, match=r"images: has no file a_b\.\*; wanted one for each map; its files are a$"):
        find_pairs(Inputs(maps, masks, image=images))


def test_one_raster_for_a_folder_of_maps_is_an_error(maps: Path, masks: Path) -> None:
    with pytest.raises(ConfigError, match=r"mask\.tif: not a folder, but --prediction .*maps is one"):
        find_pairs(Inputs(maps, Path("mask.tif")))
    with pytest.raises(ConfigError, match=r"scene\.tif: not a folder, but --prediction .*maps is one"):
        find_pairs(Inputs(maps, masks, image=Path("scene.tif")))


def test_folders_that_share_no_stem_are_an_error(maps: Path, tmp_path: Path) -> None:
    masks = touch(tmp_path / "others", "x.tif")
    with pytest.raises(ConfigError, match=r"stem of a mask in .*others; maps are a, a_b, b, masks are x;"):
        find_pairs(Inputs(maps, masks))


def test_folder_without_a_raster_is_an_error(tmp_path: Path, masks: Path) -> None:
    empty = touch(tmp_path / "empty", "notes.txt")
    with pytest.raises(ConfigError, match=r"empty: has no file that ends in"):
        find_pairs(Inputs(empty, masks))


def test_two_files_of_one_stem_are_an_error(maps: Path, masks: Path) -> None:
    touch(masks, "a.tif")
    with pytest.raises(DatasetError, match=r"a\.tif: has the same stem as a\.png"):
        find_pairs(Inputs(maps, masks))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"fold": 1}, "--fold 1 needs --folds"),
        ({"folds": Path("folds.tif")}, "--folds folds.tif needs --fold"),
        ({"strata": Path("soil.gpkg")}, "--strata soil.gpkg needs --stratum-attribute"),
        (
            {"strata": Path("soil.tif"), "stratum_attribute": "type"},
            "--stratum-attribute type needs --strata, a vector",
        ),
        ({"stratum_attribute": "type"}, "--stratum-attribute type needs --strata, a vector"),
    ],
)
def test_options_that_need_another_option_are_errors(options: dict[str, object], wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        Inputs(Path("map.tif"), Path("mask.tif"), **options)


@pytest.mark.parametrize("name", ["parcels.kml", "parcels.json", "parcels.gml"])
def test_one_file_of_any_vector_format_serves_all_maps(maps: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert {pair.reference for pair in find_pairs(Inputs(maps, tmp_path / name)).pairs} == {tmp_path / name}


def test_a_file_geodatabase_is_one_reference(maps: Path, tmp_path: Path) -> None:
    (tmp_path / "land.gdb").mkdir()
    assert {pair.reference for pair in find_pairs(Inputs(maps, tmp_path / "land.gdb")).pairs} == {tmp_path / "land.gdb"}
