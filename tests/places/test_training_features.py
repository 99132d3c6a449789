from collections.abc import Callable
from pathlib import Path

import pytest

from seg.errors import DatasetError, RasterError
from seg.package.features import read_features
from seg.package.read import read_package
from seg.places.training_features import add_training_features, describe_training, training_images


def test_training_images_are_those_of_the_configuration_of_the_run(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_dataset(tmp_path / "data")
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    assert training_images(checkpoint, None) == []
    (tmp_path / "run" / "config.yaml").write_text(f"data:\n  root: {root}\n  folds: 5\n  fold: 1\n")
    assert [image.name for image in training_images(checkpoint, None)] == [f"scene_{n}.tif" for n in (0, 2, 3, 4)]
    root.rename(tmp_path / "moved")
    assert training_images(checkpoint, None) == []
    assert len(training_images(checkpoint, tmp_path / "moved")) == 4


def test_a_folder_that_is_not_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        training_images(tmp_path / "run" / "checkpoints" / "best.ckpt", tmp_path)


def test_a_package_gets_the_features_of_its_training_images(
    model: Path, write_place: Callable[..., list[Path]], tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(model, tmp_path / "copy"))
    images = write_place(tmp_path / "images", [(64, 64), (70, 80), (40, 40)])
    described = describe_training(folder, images)
    assert described == read_package(folder)
    found = read_features(folder, read_package(folder))
    assert found is not None
    assert len(found.distances) == 3
    assert describe_training(folder, images[:1]) is None


def test_images_that_cannot_be_read_are_an_error_only_if_the_user_named_them(
    model: Path, write_place: Callable[..., list[Path]], tmp_path: Path
) -> None:
    [image] = write_place(tmp_path, [(32, 32)])
    image.write_text("no raster")
    assert not add_training_features(model, [image], required=False)
    assert not add_training_features(model, [], required=True)
    with pytest.raises(RasterError, match="not a readable raster"):
        add_training_features(model, [image], required=True)
