import rasterio
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from seg.data.checking.check import Options, check_dataset
from seg.data.checking.listing import list_scenes
from support.planted_dataset import FOLDS, PlantedDataset


def kinds(dataset: PlantedDataset) -> set[str]:
    report = check_dataset(dataset.root, Options(folds=FOLDS))
    return {finding.kind for finding in report.findings if "overlap" in finding.kind or "duplicate" in finding.kind}


def reproject(dataset: PlantedDataset, number: int, crs: str) -> None:
    """Georeference a scene in another CRS; the number of pixels stays the same, but the pixels change their shape."""
    with rasterio.open(dataset.image(number)) as scene:
        left, bottom, right, top = transform_bounds(scene.crs, crs, *scene.bounds)
        step = (right - left) / scene.width, (bottom - top) / scene.height
    transform = Affine.translation(left, top) @ Affine.scale(*step)
    for path in (dataset.image(number), dataset.mask(number)):
        dataset.rewrite(path, crs=CRS.from_string(crs), transform=transform)


def test_scenes_that_share_one_column_overlap(dataset: PlantedDataset) -> None:
    dataset.move(1, 15)
    assert kinds(dataset) == {"overlap-across-folds"}


def test_scenes_that_touch_do_not_overlap(dataset: PlantedDataset) -> None:
    dataset.move(1, 16)
    assert kinds(dataset) == set()


def test_scenes_that_share_only_nodata_do_not_overlap(dataset: PlantedDataset) -> None:
    pixels = dataset.read(dataset.image(0))
    pixels[:, :, 10:] = 0
    dataset.rewrite(dataset.image(0), pixels)
    dataset.move(1, 10)
    assert kinds(dataset) == set()


def test_overlap_is_seen_between_two_reference_systems(dataset: PlantedDataset) -> None:
    dataset.move(1, 8)
    reproject(dataset, 1, "EPSG:4326")
    assert kinds(dataset) == {"overlap-across-folds"}


def test_neighbours_in_two_reference_systems_do_not_overlap(dataset: PlantedDataset) -> None:
    reproject(dataset, 1, "EPSG:4326")
    assert kinds(dataset) == set()


def test_scenes_without_a_georeference_are_not_compared(dataset: PlantedDataset) -> None:
    for number in range(4):
        for path in (dataset.image(number), dataset.mask(number)):
            dataset.rewrite(path, crs=None, transform=Affine.identity())
    assert kinds(dataset) == set()


def test_a_scene_in_a_local_system_is_compared_only_with_scenes_in_the_same_system(dataset: PlantedDataset) -> None:
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    for number in (0, 1):
        for path in (dataset.image(number), dataset.mask(number)):
            dataset.rewrite(path, crs=CRS.from_wkt(local))
    assert kinds(dataset) == set()
    dataset.move(1, 8)
    assert kinds(dataset) == {"overlap-across-folds"}


def test_the_finding_about_a_repeated_image_names_its_other_entry_and_the_folds(dataset: PlantedDataset) -> None:
    [first, *rest] = dataset.rows()
    dataset.list_scenes([first, ("masks/../images/scene_0.tif", first[1], 2), *rest, rest[0]])
    said = "\n".join(finding.message for finding in list_scenes(dataset.root, FOLDS).findings)
    image = dataset.root / "images" / "scene_0.tif"
    assert f"is the same file as {image}, which is listed too (folds {first[2]} and 2); keep one entry" in said
    assert f"is listed twice (fold {rest[0][2]}); keep one entry" in said
