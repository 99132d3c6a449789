from pathlib import Path

import rasterio

from seg.benchmark.scenes import write_scene
from seg.labels import CROPLAND, OTHER


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
