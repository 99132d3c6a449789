"""Write rasters of a scene's deepest features (int8) and of the features' distance from the training images.

Features lie on a coarse grid. A cell of this grid has as many pixels along each side as the stride of the network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.windows import Window

from seg import __version__
from seg.errors import PackageError, RasterError
from seg.files import SOFTWARE, require_output_file, write_json
from seg.inference.compute.backends import Features
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor
from seg.inference.identity import RUN_TAG, run_of
from seg.inference.planning.fitting import FittedScene
from seg.inference.reading import block_reader
from seg.inference.settings import PredictionSettings
from seg.inference.unlikeness import PATCH, Unlikeness, pooled_patches, sampled_windows, scene_unlikeness
from seg.package.features import FeatureDescription
from seg.raster.chips import BoolMask, Reading
from seg.raster.folder import GEOTIFF_SUFFIXES
from seg.raster.grid import Grid
from seg.raster.sources import require_apart
from seg.raster.windows import Block, plan_blocks, round_up
from seg.raster.writing.block_store import BlockStore, open_store
from seg.raster.writing.cog import CogLayer, write_cog
from seg.raster.writing.int8_cog import NODATA, Int8Layer, write_int8_cog
from seg.terminal.progress import with_progress

CORE = 512
"""Side in pixels of a block's core, a multiple of PATCH. With the halo of the default network, a block has less than a
megapixel."""

LARGEST = 127
"""Largest stored feature."""

CLIPPED = 0.999
"""Share of the sampled features that the scale covers; larger features are stored as LARGEST."""

AT_LIMIT = 100
"""Stored value of the 99th percentile of the training windows' distances; 254 is the largest value, 255 is no data."""

LARGEST_DISTANCE, NO_DISTANCE = 254, 255


@dataclass(frozen=True)
class Layers:
    """Wanted layers of a scene.

    Attributes:
        features: Write the features.
        distance: Write the distance of each patch as a raster, and the distance of the scene as JSON.
        restart: Discard the finished blocks of an unfinished run.
    """

    features: bool
    distance: bool
    restart: bool = False

    def paths(self, output: Path) -> list[Path]:
        """Files beside a class map, features first; the JSON file has the stem of the distance layer."""
        wanted = [("features", self.features), ("distance", self.distance)]
        return [output.with_name(f"{output.stem}_{name}{output.suffix}") for name, is_wanted in wanted if is_wanted]


def layers_of(settings: PredictionSettings) -> Layers:
    """The layers that the settings of a prediction ask for."""
    return Layers(settings.features, settings.distance, settings.restart)


def require_layers(predictor: Predictor, layers: Layers) -> None:
    """Check, before the work begins, that the models can give the wanted layers.

    Raises:
        PackageError: There are several models, the model has no features, or the package does not describe the features
            of the training images.
    """
    if not (layers.features or layers.distance):
        return
    first, *others = predictor.members
    if others:
        raise PackageError("--features and --distance show the features of one model; give one model")
    if first.package.network is not None:
        raise PackageError("the model is a network of another program, which gives no features")
    if not first.backend.has_features:
        raise PackageError(
            "the model gives no features: its network has no encoder, or an earlier version wrote its model.onnx; add "
            "--backend=torch"
        )
    if layers.distance and first.features is None:
        raise PackageError(
            "the model does not describe the features of its training images; export it again with --data"
        )


def write_layers(scene: FittedScene, output: Path, predictor: Predictor, layers: Layers) -> list[Path]:
    """Write the wanted layers of a scene block by block on the coarse grid.

    Every block is read with the whole receptive field as halo, so the features do not depend on the blocks. Finished
    blocks are kept beside the output until the layers are written, so a killed run continues.

    Args:
        scene: The scene, fitted to the models.
        output: The class map; the layers get `_features` and `_distance` added to its stem.
        predictor: The model, which must have features; for the distance, its package must describe the features of the
            training images.
        layers: Wanted layers.

    Returns:
        Written files; none if no layer is wanted, or if an earlier run with the same settings wrote all layers.

    Raises:
        RasterError: The scene cannot be read, or a file cannot be written.
    """
    paths = layers.paths(output)
    if not paths:
        return []
    for path in paths:
        require_output_file(path, GEOTIFF_SUFFIXES)
    require_apart(paths, [scene.grid.path])
    if all(run_of(path) == scene.identity.checksum for path in paths):
        return []
    predictor = predictor.of_scene(scene.identity.scene_statistics)
    job = _LayerJob(scene, predictor, layers)
    with open_store(paths[0], job.record, layers.restart) as store:
        reader = block_reader(scene, predictor)
        with reader.open(scene.grid.path) as dataset:
            for block in with_progress(job.blocks, f"features of {scene.grid.path.name}"):
                if block.name not in store:
                    chip = reader.read(dataset, block)
                    store.write(block.name, job.stored(job.member.own_pixels(chip.image), chip.valid, block))
        job.write(paths, store)
        store.discard()
    written = [*paths]
    reading = Reading(scene.identity.bands, predictor.fill, scene.identity.nodata)
    unlikeness = scene_unlikeness(scene.grid, scene.area, reading, predictor.members) if layers.distance else None
    if unlikeness is not None:
        written.append(paths[-1].with_suffix(".json"))
        write_json(_distance_values(scene, unlikeness), written[-1])
    return written


def _distance_values(scene: FittedScene, unlikeness: Unlikeness) -> dict[str, object]:
    return {
        "software": SOFTWARE,
        "scene": scene.grid.path.name,
        "distance": unlikeness.distance,
        "limit": unlikeness.limit,
        "share_nearer": unlikeness.share_nearer,
        "unlike": unlikeness.unlike,
    }


class _LayerJob:
    """Blocks of a scene, and their features as stored bytes.

    A stored block is (bands, h, w) uint8 on the coarse grid. The bands are the bytes of the int8 features, then the
    distance.
    """

    def __init__(self, scene: FittedScene, predictor: Predictor, layers: Layers) -> None:
        self.scene, self.layers = scene, layers
        self.member: Member = predictor.members[0]
        self.stride = self.member.package.stride
        grid = scene.grid
        halo = round_up(predictor.receptive_field, self.stride)
        self.blocks: Sequence[Block] = plan_blocks(grid.height, grid.width, round_up(CORE, self.stride), halo)
        self.scale, self.bands = _scale_and_bands(scene, predictor)

    @property
    def record(self) -> dict[str, object]:
        """Everything that the stored blocks depend on."""
        wanted = {"layer": "features", "features": self.layers.features, "distance": self.layers.distance}
        return self.scene.identity.dependencies | wanted | {"core": CORE, "scale": self.scale}

    def stored(self, image: npt.NDArray[np.float32], valid: BoolMask, block: Block) -> npt.NDArray[np.uint8]:
        """Features and distances of the core of a block, as they are stored."""
        rows, columns = block.core_within_read
        valid = valid[rows, columns]
        cells = _cells(valid.shape, self.stride)
        count = self.layers.features * self.bands + self.layers.distance
        pixels = np.empty((count, *cells), dtype=np.uint8)
        pixels[:] = NODATA + 256
        pixels[count - self.layers.distance :] = NO_DISTANCE
        if not valid.any():
            return pixels
        top, left = rows.start // self.stride, columns.start // self.stride
        features = self.member.backend.features(image)[:, top : top + cells[0], left : left + cells[1]]
        if self.layers.features:
            quantised = np.clip(np.rint(features / self.scale), -LARGEST, LARGEST).astype(np.int8)
            quantised[:, ~_with_data(valid, self.stride)] = NODATA
            pixels[: self.bands] = quantised.view(np.uint8)
        if self.layers.distance and self.member.features is not None:
            pixels[-1] = _patch_levels(features, valid, self.stride, self.member.features)
        return pixels

    def write(self, paths: Sequence[Path], store: BlockStore) -> None:
        """Write the layers from their stored blocks."""
        grid = _coarse_grid(self.scene.grid, self.stride)
        tags = {"SOFTWARE": f"cropland-seg {__version__}", RUN_TAG: self.scene.identity.checksum}
        tags["SEG_MODEL"] = self.member.package.weights_sha256
        if self.layers.features:
            layer = Int8Layer(self.bands, self.scale, "feature", tags)
            write_int8_cog(
                paths[0],
                grid,
                layer,
                ((cells, stored[: self.bands].view(np.int8)) for cells, stored in self._read(store)),
            )
        known = self.member.features
        if self.layers.distance and known is not None:
            described = CogLayer(
                nodata=NO_DISTANCE,
                description="distance from the training images",
                scale=known.limit / AT_LIMIT,
                tags={**tags, "UNITS": f"percent of {known.limit:.4g}, the 99th percentile of the training windows"},
            )
            write_cog(paths[-1], grid, described, ((cells, stored[-1]) for cells, stored in self._read(store)))

    def _read(self, store: BlockStore) -> Iterator[tuple[Window, npt.NDArray[np.uint8]]]:
        """Window of each block's core on the coarse grid, and the stored bytes of the block."""
        for block in self.blocks:
            stored = np.ascontiguousarray(store.read(block.name))
            corner = block.core.col_off // self.stride, block.core.row_off // self.stride
            yield Window(*corner, stored.shape[2], stored.shape[1]), stored


def _scale_and_bands(scene: FittedScene, predictor: Predictor) -> tuple[float, int]:
    """Factor from stored to real features, the same for all blocks, and the number of features."""
    reader, member = block_reader(scene, predictor), predictor.members[0]
    found = []
    with reader.open(scene.grid.path) as dataset:
        for window in sampled_windows(scene.grid, scene.area):
            chip = reader.read(dataset, Block(0, 0, window, window))
            if chip.valid.any():
                features = member.backend.features(member.own_pixels(chip.image))
                found.append(np.abs(features[:, _with_data(chip.valid, member.package.stride)]))
    if not found:
        raise RasterError(f"{scene.grid.path}: the sampled windows hold no data, so the features have no scale")
    largest = float(np.quantile(np.concatenate(found, axis=1), CLIPPED))
    return max(largest, 1e-6) / LARGEST, len(found[0])


def _patch_levels(features: Features, valid: BoolMask, stride: int, known: FeatureDescription) -> npt.NDArray[np.uint8]:
    """Stored distance of each cell; all cells of a patch have the same distance."""
    levels: npt.NDArray[np.uint8] = np.full(features.shape[1:], NO_DISTANCE, dtype=np.uint8)
    cells = max(PATCH // stride, 1)
    _, height, width = features.shape
    for top in range(0, height, cells):
        for left in range(0, width, cells):
            patch = slice(top, top + cells), slice(left, left + cells)
            part = valid[top * stride : (top + cells) * stride, left * stride : (left + cells) * stride]
            pooled = pooled_patches(features[:, *patch], part, stride)
            if len(pooled):
                level = known.patch_distances(pooled)[0] / known.limit * AT_LIMIT
                levels[patch] = min(round(float(level)), LARGEST_DISTANCE)
    return levels


def _cells(shape: tuple[int, ...], stride: int) -> tuple[int, int]:
    return -(-shape[0] // stride), -(-shape[1] // stride)


def _with_data(valid: BoolMask, stride: int) -> BoolMask:
    """True for each cell that holds a valid pixel."""
    rows, columns = _cells(valid.shape, stride)
    padded = np.zeros((rows * stride, columns * stride), dtype=bool)
    padded[: valid.shape[0], : valid.shape[1]] = valid
    return np.asarray(padded.reshape(rows, stride, columns, stride).any(axis=(1, 3)), dtype=np.bool_)


def _coarse_grid(grid: Grid, stride: int) -> Grid:
    """The scene's grid with pixels as large as the stride; the last row and column may reach beyond the scene."""
    height, width = _cells((grid.height, grid.width), stride)
    return replace(grid, height=height, width=width, transform=grid.transform @ Affine.scale(stride))
