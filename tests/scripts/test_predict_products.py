"""Maps of products: scenes beside the maps, and no class under a mask."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import rasterio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from seg.data.dataset.statistics import Selection, dataset_statistics
from seg.imagery.readers.loose import loose_files
from seg.imagery.scene import write_scene
from seg.imagery.settings import MaskSettings
from support.commands import assert_mistake, run_command
from support.products import Landsat, Safe, write_landsat, write_safe

WriteRaster = Callable[..., Path]
RGB = ("B02", "B03", "B04")
ANY = ("--any-unit=true", "--backend=torch", "--threads=1")
"""Options for maps of products with random values by an untrained network."""


def predicted(model: Path, source: object, output: Path, *words: object) -> None:
    ran = run_command("predict", "--model", model, "--input", source, "--output", output, *ANY, *words)
    assert (ran.status, ran.err) == (0, ""), ran


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_a_product_is_mapped_from_a_scene_beside_the_map_that_a_second_run_does_not_rewrite(
    model: Path, tmp_path: Path
) -> None:
    product, stored = write_safe(tmp_path, Safe(bands=RGB, scl=np.full((30, 24), 9)))
    predicted(model, product, tmp_path / "map.tif", "--mask=auto", "--mask-values=[8]")
    np.testing.assert_array_equal(pixels(tmp_path / "map.tif") == 255, stored["B04"] == 0)
    with rasterio.open(tmp_path / "scenes" / f"{product.stem}.vrt") as scene:
        assert scene.descriptions == ("red", "green", "blue")
    scene, mask = (tmp_path / "scenes" / f"{product.stem}{suffix}" for suffix in (".vrt", ".msk"))
    before = scene.stat().st_mtime_ns, mask.stat().st_mtime_ns
    ran = run_command(
        *("predict", "--model", model, "--input", product, "--output", tmp_path / "map.tif", *ANY),
        *("--mask=auto", "--mask-values=[8]", "--existing=skip"),
    )
    assert "kept, since it is from a run with the same scene" in ran.out
    assert (scene.stat().st_mtime_ns, mask.stat().st_mtime_ns) == before


def test_products_and_scenes_of_a_folder_are_mapped_and_a_damaged_product_fails_alone(
    model: Path, tmp_path: Path, write_raster: WriteRaster
) -> None:
    folder = tmp_path / "downloads"
    safe, _ = write_safe(folder, Safe(bands=RGB), zipped=True)
    landsat, _ = write_landsat(folder / "more", Landsat(), packed=True)
    landsat.rename(folder / landsat.name)
    write_raster(folder / "plain.tif", np.full((3, 9, 9), 100, np.uint16))
    (folder / "S2A_damaged.zip").write_bytes(b"PK")
    (folder / "report.json").write_text("{}")
    (folder / "labels.zip").write_bytes(b"PK")
    words = ("--model", model, "--input", folder, "--output", tmp_path / "maps", *ANY, "--pixel-size-ratio=3")
    ran = run_command("predict", *words)
    assert ran.status == 1
    assert "4 scenes: 3 mapped, 1 failed" in ran.out
    assert "S2A_damaged.zip: not a readable ZIP archive" in ran.err
    names = {path.name for path in (tmp_path / "maps").glob("*.tif") if "_probability" not in path.name}
    assert names == {f"{safe.stem}.tif", f"{landsat.stem}.tif", "plain.tif"}


@pytest.mark.parametrize(
    ("bands", "words", "problem"),
    [
        (("B02", "B04"), (), "has no band green; choose with --bands among B02, B04"),
        (RGB, ("--mask=auto", "--mask-values=[8.5]"), "mask-values"),
        (RGB, ("--mask=clouds.tif",), "--mask is clouds.tif; wanted --mask-values too"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    model: Path, tmp_path: Path, bands: Sequence[str], words: Sequence[str], problem: str
) -> None:
    product, _ = write_safe(tmp_path, Safe(bands=bands))
    ran = run_command("predict", "--model", model, "--input", product, "--output", tmp_path / "map.tif", *ANY, *words)
    assert_mistake(ran, problem)


@pytest.mark.parametrize(
    ("seed", "share", "block", "dilate", "scales"), [(0, 0.02, 16, 2, "[1]"), (1, 0.4, 40, 0, "[1,0.5]")]
)
def test_no_masked_pixel_gets_a_class_or_counts_in_statistics(
    model: Path, write_raster: WriteRaster, seed: int, share: float, block: int, dilate: int, scales: str
) -> None:
    assert_masked_pixels_are_unused(model, write_raster, (seed, share, block, dilate, scales))


@pytest.mark.campaign
@settings(max_examples=40, phases=[Phase.generate])  # Shrinking would map hundreds of scenes.
@given(
    seed=st.integers(0, 99),
    share=st.sampled_from([0.02, 0.4, 0.97]),
    block=st.sampled_from([16, 40]),
    dilate=st.integers(0, 3),
    scales=st.sampled_from(["[1]", "[1,0.5]"]),
)
def test_no_pixel_of_many_random_masks_gets_a_class_or_counts_in_statistics(
    model: Path, write_raster: WriteRaster, seed: int, share: float, block: int, dilate: int, scales: str
) -> None:
    assert_masked_pixels_are_unused(model, write_raster, (seed, share, block, dilate, scales))


def assert_masked_pixels_are_unused(
    model: Path, write_raster: WriteRaster, case: tuple[int, float, int, int, str]
) -> None:
    """Check that the map and the statistics of a random scene do not depend on the values under a random mask."""
    seed, share, block, dilate, scales = case
    random = np.random.default_rng(seed)
    clouds = (random.random((50, 43)) < share).astype(np.uint8)
    rows, columns = np.nonzero(clouds)
    near = (np.mgrid[:50, :43][:, :, :, None] - np.stack([rows, columns])[:, None, None]) ** 2
    hidden = (near.sum(axis=0).min(axis=-1) <= dilate**2) if len(rows) else clouds > 0
    with TemporaryDirectory() as name:
        folder, maps = Path(name), []
        mask = write_raster(folder / "clouds.tif", clouds)
        masking = (f"--mask={mask}", "--mask-values=[1]", f"--mask-dilate={dilate}")
        image = random.integers(90, 110, (3, 50, 43)).astype(np.uint16)
        for number, value in enumerate((0, 60_000)):  # The value is set under the mask.
            image[:, hidden] = value
            scene = write_raster(folder / f"{number}.tif", image, descriptions=["red", "green", "blue"])
            predicted(
                model, scene, folder / f"map{number}.tif", *masking, f"--block-size={block}", f"--tta.scales={scales}"
            )
            maps.append(pixels(folder / f"map{number}.tif"))
        np.testing.assert_array_equal(maps[0] == 255, hidden)
        np.testing.assert_array_equal(maps[0], maps[1])
        if hidden.all():
            return
        data = folder / "data"
        write_raster(data / "masks" / "a.tif", (image[0] > 99).astype(np.uint8))
        (data / "images").mkdir()
        write_scene(loose_files([scene]), data / "images" / "a.vrt", masking=MaskSettings(str(mask), [1], dilate))
        found = dataset_statistics(data, Selection(fold=None))
        np.testing.assert_allclose(found.bands.mean, image[:, ~hidden].mean(axis=1), rtol=1e-6)
