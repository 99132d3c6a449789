from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from seg.errors import ConfigError
from seg.inference.inputs import Job, jobs_of
from seg.raster.folder import Inputs, named_scenes
from seg.raster.grid import open_raster
from seg.raster.writing.vrt import write_window_vrt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scenes = tmp_path / "scenes"
    for name in ("b.tif", "a.VRT", "c.tif.aux.xml", "notes.md", "deep/d.tif"):
        (scenes / name).parent.mkdir(parents=True, exist_ok=True)
        (scenes / name).touch()
    return scenes


def test_each_map_gets_the_stem_of_its_scene(tmp_path: Path) -> None:
    inputs = Inputs([Path("in/a.vrt"), Path("https://host/b.tif?x=1")], several=True)
    output = tmp_path / "maps"
    assert jobs_of(inputs, output, uncertainty=False) == [
        Job(Path("in/a.vrt"), output / "a.tif"),
        Job(Path("https://host/b.tif?x=1"), output / "b.tif"),
    ]
    assert output.is_dir()


def test_one_scene_is_mapped_to_a_file_or_into_a_folder(tmp_path: Path) -> None:
    inputs = Inputs([Path("in/a.vrt")], several=False)
    assert jobs_of(inputs, tmp_path / "map.tif", uncertainty=False)[0].output == tmp_path / "map.tif"
    assert jobs_of(inputs, tmp_path, uncertainty=False)[0].output == tmp_path / "a.tif"


@pytest.mark.parametrize(
    ("scenes", "uncertainty", "collide"),
    [
        (["x/a.tif", "y/a.tif"], False, True),
        (["x/a.tif", "y/A.vrt"], False, True),
        (["a.tif", "a_probability.tif"], False, True),
        (["a.tif", "a_uncertainty.tif"], True, True),
        (["a.tif", "a_uncertainty.tif"], False, False),
        (["a.tif", "ab.tif"], True, False),
    ],
)
def test_two_scenes_with_one_map_are_refused_before_files_are_made(
    tmp_path: Path, scenes: list[str], uncertainty: bool, collide: bool
) -> None:
    inputs = Inputs([Path(scene) for scene in scenes], several=True)
    if not collide:
        assert len(jobs_of(inputs, tmp_path / "maps", uncertainty)) == 2
        return
    with pytest.raises(ConfigError, match=r": its map would be written to .*, which is also the path for the map of "):
        jobs_of(inputs, tmp_path / "maps", uncertainty)
    assert not (tmp_path / "maps").exists()


def test_maps_beside_their_scenes_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"b\.tif: is one of the inputs"):
        jobs_of(named_scenes([folder]), folder, uncertainty=False)


@pytest.mark.parametrize(
    ("output", "said"), [("map.tif", "is a file"), ("file", "is a file"), ("none/maps", "does not exist")]
)
def test_many_scenes_need_a_folder(tmp_path: Path, output: str, said: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=said):
        jobs_of(Inputs([Path("a.tif")], several=True), tmp_path / output, uncertainty=False)


def test_a_map_over_a_source_of_a_mosaic_is_refused(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    part = write_raster(tmp_path / "north.tif", np.ones((16, 16), np.uint8))
    with open_raster(part) as dataset:
        write_window_vrt(tmp_path / "mosaic.vrt", dataset, Window(0, 0, 16, 16))
    other = tmp_path / "other" / "north.vrt"
    other.parent.mkdir()
    other.write_text("not read")
    inputs = named_scenes([tmp_path / "mosaic.vrt", other])
    with pytest.raises(ConfigError, match=r"north\.tif: .*would be overwritten"):
        jobs_of(inputs, tmp_path, uncertainty=False)
