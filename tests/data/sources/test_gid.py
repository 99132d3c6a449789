from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.settings import ImportSettings
from seg.data.sources.gid import COLOURS, NUMBERS
from seg.data.sources.importing import import_public
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

SCENE = "GF2_PMS1__L1A0000564539-MSS1"

WritePlain = Callable[..., Path]
ReadBack = Callable[[Path], dict[str, tuple[int, list[list[int]]]]]


def coloured(*colours: tuple[int, int, int]) -> np.ndarray:
    """(3, 1, W) pixels of the given colours."""
    return np.transpose(colours)[:, None]


@pytest.fixture
def gid(write_plain: WritePlain, tmp_path: Path) -> Path:
    """GID with 5 classes: two scenes, images of 3 and of 4 bands."""
    root = tmp_path / "Large-scale Classification_5classes"
    for scene in (SCENE, "GF2_PMS2__L1A0001378501-MSS2"):
        write_plain(root / "image_RGB" / f"{scene}.tif", np.full((3, 1, 3), 90))
        write_plain(root / "image_NirRGB" / f"{scene}.tif", np.full((4, 1, 3), 90))
        mask = coloured((0, 255, 0), (0, 0, 0), (255, 255, 0))
        write_plain(root / "label_5classes" / f"{scene}_label.tif", mask)
    return root


def test_farmland_is_cropland_and_black_has_no_label(gid: Path, tmp_path: Path, read_back: ReadBack) -> None:
    import_public("gid", gid, tmp_path / "out", ImportSettings())
    assert read_back(tmp_path / "out") == {
        f"{SCENE}.tif": (0, [[CROPLAND, IGNORE, OTHER]]),
        "GF2_PMS2__L1A0001378501-MSS2.tif": (1, [[CROPLAND, IGNORE, OTHER]]),
    }


@pytest.mark.parametrize(
    ("images", "folder"), [("auto", "image_NirRGB"), ("nir", "image_NirRGB"), ("rgb", "image_RGB")]
)
def test_images_with_4_bands_are_the_default(images: str, folder: str, gid: Path, tmp_path: Path) -> None:
    import_public("gid", gid, tmp_path / "out", ImportSettings(gid_images=images))  # type: ignore[arg-type]
    assert f"/{folder}/" in (tmp_path / "out" / "manifest.csv").read_text()


def test_a_fourth_band_tagged_as_alpha_gives_a_note(gid: Path, tmp_path: Path) -> None:
    imported = import_public("gid", gid, tmp_path / "out", ImportSettings())
    assert any("--data.bands=[1,2,3,4]" in note for note in imported.notes)


def test_paddy_irrigated_and_dry_fields_are_cropland_in_15_classes(
    write_plain: WritePlain, tmp_path: Path, read_back: ReadBack
) -> None:
    root = tmp_path / "Fine Land-cover Classification_15classes"
    mask = coloured((0, 200, 0), (150, 250, 0), (150, 200, 150), (200, 0, 200), (0, 0, 0))
    write_plain(root / "image_RGB" / f"{SCENE}.tif", np.full((3, 1, 5), 90))
    write_plain(root / "label_15classes" / f"{SCENE}_label.tif", mask)
    import_public("gid", tmp_path, tmp_path / "out", ImportSettings())
    assert read_back(tmp_path / "out")[f"{SCENE}.tif"][1] == [[CROPLAND] * 3 + [OTHER, IGNORE]]


def test_numbered_masks_of_gid_15_are_read_with_their_official_split(
    write_plain: WritePlain, tmp_path: Path, read_back: ReadBack
) -> None:
    root = tmp_path / "gid-15" / "GID"
    for part, name in (("train", "a"), ("val", "b")):
        write_plain(root / "img_dir" / part / f"{name}.tif", np.full((3, 1, 16), 90))
        write_plain(root / "ann_dir" / part / f"{name}_15label.png", [range(16)])
    write_plain(root / "img_dir" / "test" / "c.tif", np.full((3, 1, 16), 90))
    imported = import_public("gid", tmp_path / "gid-15", tmp_path / "out", ImportSettings())
    labels = [IGNORE, *[OTHER] * 4, *[CROPLAND] * 3, *[OTHER] * 8]
    assert read_back(tmp_path / "out") == {"a.tif": (1, [labels]), "b.tif": (0, [labels])}
    assert imported.notes == ["test was left out, because its masks are not published (images: 1)"]


def test_no_two_classes_share_a_colour() -> None:
    assert len({meaning.value for meaning in COLOURS.meanings}) == len(COLOURS.meanings) == 21
    assert len(NUMBERS.meanings) == 16


def test_unknown_colour_leaves_no_output(gid: Path, write_plain: WritePlain, tmp_path: Path) -> None:
    write_plain(gid / "label_5classes" / f"{SCENE}_label.tif", coloured((0, 255, 0), (0, 254, 0), (0, 0, 0)))
    with pytest.raises(DatasetError, match=rf"{SCENE}_label\.tif: has the colours \(0, 254, 0\)"):
        import_public("gid", gid, tmp_path / "out", ImportSettings())
    assert {path.name for path in tmp_path.iterdir()} == {gid.name}


def test_scene_without_a_mask_is_named_in_the_error(gid: Path, tmp_path: Path) -> None:
    (gid / "label_5classes" / f"{SCENE}_label.tif").unlink()
    with pytest.raises(DatasetError, match=rf"{SCENE}\.tif: has no mask; wanted .*{SCENE}_label\.tif"):
        import_public("gid", gid, tmp_path / "out", ImportSettings())


def test_two_sets_of_labels_are_an_error(gid: Path, tmp_path: Path) -> None:
    (tmp_path / "Fine" / "label_15classes").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"holds 2 sets of labels, .*label_5classes; name one with --input"):
        import_public("gid", tmp_path, tmp_path / "out", ImportSettings())


@pytest.mark.parametrize(
    ("present", "wanted"),
    [("label_5classes", "image_NirRGB or image_RGB with"), ("pictures", "img_dir with ann_dir")],
)
def test_another_layout_is_an_error_with_the_expected_files(present: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "in" / present).mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"wanted .*{wanted}.*found {present}"):
        import_public("gid", tmp_path / "in", tmp_path / "out", ImportSettings())
