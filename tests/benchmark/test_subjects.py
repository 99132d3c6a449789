from pathlib import Path

import pytest
import rasterio

from seg.benchmark.subjects import FAMILY, choose_models, write_scene
from seg.errors import ConfigError
from seg.labels import CROPLAND, OTHER
from seg.models.build import build_model


def test_all_models_are_chosen_by_default() -> None:
    assert choose_models(None) == FAMILY


@pytest.mark.parametrize("names", ["unet_resnet18,resnet18_16", "unet_resnet18, resnet18_16"])
def test_names_separated_by_commas_are_read_as_a_list(names: str) -> None:
    assert list(choose_models(names)) == list(choose_models(["unet_resnet18", "resnet18_16"]))


def test_an_unknown_name_is_refused_with_the_possible_names() -> None:
    with pytest.raises(ConfigError, match=r"has 'unett'; wanted some of dilated_tiny_4, .*, segformer_mit_b0"):
        choose_models("resnet18_16,unett")


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="models is empty"):
        choose_models([])


@pytest.mark.parametrize("name", ["dilated_tiny_4", "dilated_tiny_8", "dilated_small_8", "dilated_base_4"])
def test_the_last_part_of_a_name_is_the_output_stride(name: str) -> None:
    assert build_model(FAMILY[name], bands=1).stride == int(name[-1])


def test_the_scene_that_is_loaded_is_a_deflated_tiled_uint16_raster(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "image.tif", tmp_path / "mask.tif", 1100)
    with rasterio.open(scene.image) as image, rasterio.open(scene.mask) as mask:
        assert (image.count, image.shape, image.dtypes[0], image.block_shapes[0]) == (
            4,
            (1100, 1100),
            "uint16",
            (256, 256),
        )
        assert image.profile["compress"] == "deflate"
        assert set(mask.read(1).ravel()) == {OTHER, CROPLAND}
    assert scene.image.stat().st_size > 0.3 * 1100 * 1100 * 8
