"""Fixtures for all tests: tiny georeferenced rasters and datasets. This file does not import torch."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp

# Threads do not make tiny networks faster, and make them much slower on a busy machine. Torch reads this on import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

from seg.labels import CROPLAND, IGNORE, OTHER
from support.processes import Processes

PROCESSES = pytest.StashKey[Processes]()
# Hypothesis examples have no deadline, since they may take long on a busy machine; benchmarks measure speed.
settings.register_profile("cropland-seg", deadline=None)
settings.load_profile("cropland-seg")

UTM_33N = "EPSG:32633"
CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)
"""10 m pixels, north up."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a file in one worker, and so tests with the same dear imports or inputs.

    Otherwise, each worker would make the fixtures of every file. Importing the exporter of ONNX files takes ten
    seconds, and so does making the inputs of all commands or starting a cluster.
    """
    for item in items:
        fixtures = {*getattr(item, "fixturenames", ())}
        if "onnx" in item.nodeid or {"onnx_package", "random_package", "exported", "cluster"} & fixtures:
            item.add_marker(pytest.mark.xdist_group("onnx"))
        elif "world" in fixtures:
            item.add_marker(pytest.mark.xdist_group("world"))
        else:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare what must exist before any test runs: shared ONNX files, and the server of `processes`.

    The garbage collector ignores the objects of the imported modules from now on, since visiting all of them takes a
    second, and in a forked process copies their memory.
    """
    config = session.config
    if "torch" in sys.modules and config.option.markexpr == "not campaign":
        from support.exports import share_exports

        share_exports(_shared_folder(config))
    gc.collect()
    gc.freeze()
    config.add_cleanup(gc.unfreeze)  # or libraries would report leaks when Python ends
    wanted = any("processes" in item.fixturenames for item in session.items if isinstance(item, pytest.Function))
    if wanted and hasattr(os, "fork"):
        config.stash[PROCESSES] = Processes()
        config.add_cleanup(config.stash[PROCESSES].close)


def _shared_folder(config: pytest.Config) -> Path:
    """A folder that all workers of pytest-xdist share, or a temporary folder if there are no workers."""
    if hasattr(config, "workerinput"):
        folder = Path(config.option.basetemp).parent / "exports"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    temporary = TemporaryDirectory()
    config.add_cleanup(temporary.cleanup)
    return Path(temporary.name)


@pytest.fixture(scope="session")
def processes(pytestconfig: pytest.Config) -> Processes:
    """Run Python files in separate processes, which a test can kill."""
    if PROCESSES not in pytestconfig.stash:
        pytest.skip("this system cannot fork")
    return pytestconfig.stash[PROCESSES]


@pytest.fixture(scope="session")
def write_raster() -> Callable[..., Path]:
    """`write_raster(path, pixels, *, descriptions=(), meanings=(), mask=None, **profile)`, which returns the path.

    Writes (H, W) or (C, H, W) pixels, and makes the folder if it is missing.

    - descriptions: one name per band;
    - meanings: one `ColorInterp` per band; grey and undefined by default, so that no band is alpha;
    - mask: (H, W) bool, True where there is data; written to a `.msk` file beside the raster;
    - profile: differences from a GeoTIFF in EPSG:32633 with 10 m pixels and its corner at 500000 E, 5000000 N:
      `crs`, `transform`, `nodata`, `dtype`, `tiled`, `compress`...

    The fixture has no state, so a hypothesis test may use it with its own folders.
    """

    def write(
        path: Path,
        pixels: npt.ArrayLike,
        *,
        descriptions: Sequence[str] = (),
        meanings: Sequence[ColorInterp] = (),
        mask: npt.ArrayLike | None = None,
        **profile: object,
    ) -> Path:
        layers = np.asarray(pixels)
        layers = layers[None] if layers.ndim == 2 else layers
        count, height, width = layers.shape
        shape = {"count": count, "height": height, "width": width, "dtype": layers.dtype}
        path.parent.mkdir(parents=True, exist_ok=True)
        place = {"driver": "GTiff", "crs": UTM_33N, "transform": CORNER}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
            rasterio.open(path, "w", **(place | shape | profile)) as dataset,
        ):
            dataset.colorinterp = list(meanings) or [ColorInterp.gray, *[ColorInterp.undefined] * (count - 1)]
            dataset.write(layers)
            for band, text in enumerate(descriptions, start=1):
                dataset.set_band_description(band, text)
            if mask is not None:
                dataset.write_mask(np.asarray(mask, dtype=bool))
        return path

    return write


@pytest.fixture(scope="session")
def make_dataset(write_raster: Callable[..., Path]) -> Callable[..., Path]:
    """Function `make_dataset(root, sizes=((16, 16), ...), bands=3, empty=2, seed=0)` that returns the root.

    Writes `images/scene_0.tif`... and `masks/scene_0.tif`..., one scene for each size (height, width); by default five
    scenes of different sizes. The scenes lie side by side on one 10 m grid.

    - images: uint16 with nodata 0; band b holds about 1000 b; values are 500 higher on cropland, for quick learning;
    - masks: vertical stripes of class other and of cropland, each four columns wide; the last pixel is ignored;
    - empty: side of the nodata square in the upper left corner; the mask has labels there.
    """

    def make(
        root: Path,
        sizes: Sequence[tuple[int, int]] = ((16, 16), (20, 13), (9, 24), (17, 18), (24, 10)),
        bands: int = 3,
        empty: int = 2,
        seed: int = 0,
    ) -> Path:
        random = np.random.default_rng(seed)
        left = 0
        for number, (height, width) in enumerate(sizes):
            mask = np.where(np.arange(width) // 4 % 2 == 1, CROPLAND, OTHER) * np.ones((height, 1), dtype=np.uint8)
            levels = 1000 * np.arange(1, bands + 1)[:, None, None] + 500 * mask
            image = np.rint(random.normal(levels, 50)).astype(np.uint16)
            image[:, :empty, :empty] = 0
            mask[-1, -1] = IGNORE
            transform = CORNER @ Affine.translation(left, 0)
            name = f"scene_{number}.tif"
            write_raster(root / "images" / name, image, transform=transform, nodata=0)
            write_raster(root / "masks" / name, mask.astype(np.uint8), transform=transform)
            left += width
        return root

    return make


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A folder in which no file can be made; for root, who may ignore permission bits, a folder in /proc."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if not os.access(folder, os.W_OK):
        return folder
    if not Path("/proc/self").is_dir():
        pytest.skip("this user may write anywhere here")
    return Path("/proc")
