"""Small valid inputs for every command in one folder, for tests that damage inputs or kill commands.

All names in the command lines of such tests are relative to this folder.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
import rasterio
import shapely
import yaml
from rasterio import Affine
from rasterio.enums import ColorInterp

from support.networks import TINY
from support.processes import Job, Processes
from support.products import Safe, write_landsat, write_safe
from support.project import ROOT, SCRIPTS

WriteRaster = Callable[..., Path]
MakeDataset = Callable[..., Path]

UTM_33N = "EPSG:32633"
"""CRS of the maps."""

LEFT, TOP, PIXEL = 500_000, 5_000_000, 10
HEIGHT, WIDTH = 40, 48


def make_world(root: Path, write_raster: WriteRaster, make_dataset: MakeDataset, processes: Processes) -> Path:
    """Write all inputs, including a training of one epoch and its package, and return the folder.

    Args:
        root: A new folder.
        write_raster: The fixture.
        make_dataset: The fixture.
        processes: The fixture.
    """
    make_dataset(root / "data")
    _write_tables(root)
    _write_scenes(root, write_raster)
    _write_maps(root, write_raster)
    _write_polygons(root)
    _write_downloads(root, write_raster)
    _write_products(root)
    _write_delivery(root)
    _write_tracked(root)
    (root / "config.yaml").write_text(yaml.safe_dump(configuration()))
    for command in (
        "train fit --config=config.yaml --trainer.default_root_dir=run --trainer.max_epochs=1",
        "export --checkpoint=run/checkpoints/last.ckpt --output=model --onnx",
        "evaluate sample --prediction=map.tif --output=points.gpkg --points=12 --minimum=4",
        "deliver --template=template.yaml --parcels=parcels.gpkg --zones=counties.gpkg --output=delivered",
    ):
        name, *words = command.split()
        [ended] = processes.run(Job(SCRIPTS / f"{name}.py", words, folder=root))
        assert ended.status == 0, ended.output
    _interpret(root)
    return root


def copy_of(world: Path, names: list[str], to: Path) -> Path:
    """Copy files and folders of the inputs into a new folder, and return that folder."""
    to.mkdir(parents=True)
    for name in dict.fromkeys(names):
        source, target = world / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy2(source, target)
    return to


def configuration() -> dict[str, object]:
    """Configuration of a training that takes a second and writes no pictures."""
    return {
        "seed_everything": 1,
        "data": {"root": "data", "augmentation": {"gain": 0.1, "noise": 0.1}},
        "model": {"model": TINY, "optimizer": {"learning_rate": 0.01}, "loss": {"dice": 1.0}},
        "warmup": {"steps": 2},
        "last_checkpoint": {"every_steps": 1},
        "panels": {"scenes": 0, "curves": False},
        "tracking": {"tensorboard": False},
        "trainer": {"default_root_dir": "new_run", "max_epochs": 1, "accelerator": "cpu"},
    }


def _write_tables(root: Path) -> None:
    """Write two datasets that list the scenes of `data`, one in a CSV file and one in a Parquet file."""
    rows = [
        {"image": f"../data/images/scene_{number}.tif", "mask": f"../data/masks/scene_{number}.tif", "fold": number}
        for number in range(5)
    ]
    for name in ("listed", "listed_parquet"):
        (root / name).mkdir()
    pd.DataFrame(rows).to_csv(root / "listed" / "manifest.csv", index=False)
    pd.DataFrame(rows).to_parquet(root / "listed_parquet" / "manifest.parquet", index=False)


def _write_scenes(root: Path, write_raster: WriteRaster) -> None:
    """Write a scene, a folder, a list and a mosaic of two scenes, an area of interest, and bands for a stack."""
    random = np.random.default_rng(5)
    pixels = random.normal(1000 * np.arange(1, 4)[:, None, None], 200, (3, HEIGHT, WIDTH)).astype(np.uint16)
    pixels[:, :3] = 0
    write_raster(root / "scene.tif", pixels, nodata=0, descriptions=("red", "green", "blue"), tiled=False)
    for name, part, left in (("west", pixels[:, :, :24], 0), ("east", pixels[:, :, 24:], 24)):
        place = Affine.translation(LEFT + PIXEL * left, TOP) @ Affine.scale(PIXEL, -PIXEL)
        write_raster(root / "scenes" / f"{name}.tif", part, nodata=0, transform=place)
    write_raster(root / "wide.tif", np.zeros((3000, 3000), np.uint8), tiled=True, compress="deflate")
    (root / "list.txt").write_text("scenes/west.tif\nscenes/east.tif\n")
    (root / "mosaic.vrt").write_text(MOSAIC)
    _write_vectors(root / "area.gpkg", [field(2, 2, 30, 30)], {"name": ["county"]})
    for number, name in enumerate(("B02", "B03", "B04"), start=1):
        write_raster(root / "bands" / f"T1_{name}.tif", pixels[number - 1])


def _write_maps(root: Path, write_raster: WriteRaster) -> None:
    """Write class maps and probability maps of two years, a reference, interiors, zones, folds and strata."""
    before = np.zeros((HEIGHT, WIDTH), np.uint8)
    before[5:20, 4:20] = before[24:36, 10:40] = 1
    after = before.copy()
    after[5:10, 4:20], after[2:12, 26:40] = 0, 1
    reference = before.copy()
    reference[5:20, 18:23] = 1
    before[-1] = after[-1] = 255
    random = np.random.default_rng(6)
    for name, classes in (("map", before), ("after", after)):
        write_raster(root / f"{name}.tif", classes, nodata=255)
        percent = np.where(classes == 1, 85, 15) + random.integers(-14, 15, classes.shape)
        written = np.where(classes == 255, 255, percent).astype(np.uint8)
        write_raster(root / f"{name}_probability.tif", written, nodata=255)
    write_raster(root / "reference.tif", reference)
    interior = np.where(before == 255, 255, 0).astype(np.uint8)
    interior[7:18, 6:18] = interior[26:34, 12:24] = interior[26:34, 27:38] = 1
    write_raster(root / "interior.tif", interior, nodata=255)
    halves = np.where(np.arange(WIDTH) < WIDTH // 2, 1, 2).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)
    for name in ("zones", "folds", "strata"):
        write_raster(root / f"{name}.tif", halves)


def field(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Rectangle in the CRS of the maps, given in pixels."""
    return shapely.box(LEFT + PIXEL * left, TOP - PIXEL * bottom, LEFT + PIXEL * right, TOP - PIXEL * top)


def _write_polygons(root: Path) -> None:
    """Write labels in four formats; the polygons overlap the first scene of the dataset, the maps and the scene."""
    fields = [field(2, 2, 8, 8), field(8, 2, 14, 9), field(4, 10, 12, 14), field(20, 20, 40, 34)]
    columns = {"crop": ["wheat", "maize", "fallow", "grass"], "code": [1, 2, 3, 4], "area_ha": [0.4, 0.5, 0.3, 2.8]}
    for name in ("parcels.gpkg", "parcels.geojson", "parcels.parquet", "shapes/parcels.shp"):
        _write_vectors(root / name, fields, columns)


def _write_vectors(path: Path, shapes: list[shapely.Geometry], columns: Mapping[str, list[object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs=UTM_33N)
    if path.suffix == ".geojson":
        frame = frame.to_crs("EPSG:4326")
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        pyogrio.write_dataframe(frame, path)


def _interpret(root: Path) -> None:
    """Fill in the references of the drawn points, and write the same points as tables."""
    points = geopandas.read_file(root / "points.gpkg", layer="points")
    with rasterio.open(root / "reference.tif") as dataset:
        found = dataset.read(1)[points["row"], points["column"]]
    points["reference"] = [str(value) for value in found]
    pyogrio.write_dataframe(points, root / "points.gpkg", layer="points", layer_options={"OVERWRITE": "YES"})
    points.drop(columns="geometry").to_csv(root / "points.csv", index=False)
    pyogrio.write_dataframe(points.to_crs("EPSG:4326"), root / "points.geojson")


def _write_downloads(root: Path, write_raster: WriteRaster) -> None:
    """Write two images of each public dataset, in the layout of the unpacked archive."""
    for part in ("Train", "Val"):
        folder = root / "LoveDA" / part / "Rural"
        _write_picture(folder / "images_png" / "1.png", np.full((3, 4, 6), 90))
        _write_picture(folder / "masks_png" / "1.png", np.arange(24).reshape(4, 6) % 8)
    for name in ("119", "606"):
        _write_picture(root / "deepglobe" / "train" / f"{name}_sat.jpg", np.full((3, 4, 8), 90))
        colours = np.tile(np.array([[250, 240, 9], [0, 0, 0]]).T[:, None], (1, 4, 4))
        _write_picture(root / "deepglobe" / "train" / f"{name}_mask.png", colours)
    for name in ("GF2_PMS1__L1A0000564539-MSS1", "GF2_PMS2__L1A0001378501-MSS2"):
        _write_picture(root / "gid" / "image_RGB" / f"{name}.tif", np.full((3, 2, 4), 90))
        farmland = np.tile(np.array([[0, 255, 0], [0, 0, 0]]).T[:, None], (1, 2, 2))
        _write_picture(root / "gid" / "label_5classes" / f"{name}_label.tif", farmland)
    country = root / "ftw" / "austria"
    for chip in ("g0_1", "g0_2"):
        for window in ("window_a", "window_b"):
            write_raster(country / "s2_images" / window / f"{chip}.tif", np.full((4, 2, 4), 900, np.uint16))
        for kind in ("semantic_2class", "semantic_3class", "instance"):
            classes = np.array([[0, 1, 1, 0]] * 2, dtype=np.uint8)
            write_raster(country / "label_masks" / kind / f"{chip}.tif", classes)
    table = pd.DataFrame({"aoi_id": ["g0_1", "g0_2"], "split": ["train", "val"]})
    table.to_parquet(country / "chips_austria.parquet", index=False)


def _write_products(root: Path) -> None:
    """Write a Sentinel-2 product as a folder, and one of Landsat as an archive."""
    safe, _ = write_safe(root, Safe(size=(24, 18)))
    safe.rename(root / "S2.SAFE")
    landsat, *_ = write_landsat(root / "landsat", packed=True)
    landsat.rename(root / "landsat" / "LC08.tar")


def _write_delivery(root: Path) -> None:
    """Write zones and a template, with which the parcels are delivered."""
    halves = [field(-1, -1, 20, 41), field(20, -1, 49, 41)]
    _write_vectors(root / "counties.gpkg", halves, {"code": ["01", "02"], "name": ["West", "East"]})
    shutil.copy2(ROOT / "configs" / "delivery" / "plain.yaml", root / "template.yaml")


def _write_picture(path: Path, pixels: npt.ArrayLike) -> None:
    """Write (H, W) or (C, H, W) uint8 pixels without a georeference, in the format of the suffix."""
    layers = np.asarray(pixels, dtype=np.uint8)
    layers = layers[None] if layers.ndim == 2 else layers
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = {".png": "PNG", ".jpg": "JPEG", ".tif": "GTiff"}[path.suffix]
    shape = dict(zip(("count", "height", "width"), layers.shape, strict=True))
    with rasterio.open(path, "w", driver=driver, dtype="uint8", **shape) as dataset:
        if driver == "GTiff":
            dataset.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (len(layers) - 1)]
        dataset.write(layers)
    path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)


def _write_tracked(root: Path) -> None:
    """Write the files of a run that was logged to W&B in offline mode."""
    files = root / "tracked" / "wandb" / "offline-run-20260101_000000-a" / "files"
    (files / "run").mkdir(parents=True)
    (files / "run" / "config.yaml").write_text(yaml.safe_dump(configuration()))
    (files / "run" / "metrics.csv").write_text("epoch,val/iou\n0,0.5\n")
    (files / "best.ckpt").write_bytes(bytes(300_000))
    (files / "summary.json").write_text(json.dumps({"val/iou": 0.5}))


def _mosaic() -> str:
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">scenes/{name}.tif</SourceFilename>'
        "<SourceBand>{band}</SourceBand>"
        '<SrcRect xOff="0" yOff="0" xSize="24" ySize="40"/><DstRect xOff="{left}" yOff="0" xSize="24" ySize="40"/>'
        "</SimpleSource>"
    )
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{band}"><NoDataValue>0</NoDataValue>'
        + source.format(name="west", band=band, left=0)
        + source.format(name="east", band=band, left=24)
        + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )
    return (
        f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}"><SRS>{UTM_33N}</SRS>'
        f"<GeoTransform>{LEFT}, {PIXEL}, 0, {TOP}, 0, -{PIXEL}</GeoTransform>{bands}</VRTDataset>"
    )


MOSAIC = _mosaic()
"""A VRT of the two scenes."""
