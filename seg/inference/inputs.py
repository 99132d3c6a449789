"""Find the input scenes of a command line, and choose the output file of each scene."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, RasterError
from seg.files import make_output_folder
from seg.raster.folder import RASTER_SUFFIXES, files_in
from seg.raster.remote import is_remote, stem_of
from seg.raster.sources import require_apart, require_own_raster

LIST = ".txt"
"""Suffix of a file that lists scenes."""


@dataclass(frozen=True)
class Job:
    """A scene and its output.

    Attributes:
        scene: The raster.
        output: The class map to write; the other maps lie beside it.
    """

    scene: Path
    output: Path


@dataclass(frozen=True)
class Inputs:
    """The scenes of a command line.

    Attributes:
        scenes: In the order in which they are mapped.
        several: True if the input is a folder, a pattern, a list or several names; the output is then a folder.
    """

    scenes: Sequence[Path]
    several: bool


def named_scenes(names: Sequence[Path]) -> Inputs:
    """Find all input scenes.

    Args:
        names: Scenes, addresses of scenes, folders, patterns such as `scenes/*.tif` (`**` for nested folders), or a
            text file with a path or an address on each line. In a text file, `#` begins a comment, and relative paths
            start at the file's folder.

    Raises:
        RasterError: A folder, a pattern or a list contains no scene, or a list cannot be read.
    """
    found = [_scenes(name) for name in names]
    several = len(found) > 1 or any(inputs.several for inputs in found)
    return Inputs([scene for inputs in found for scene in inputs.scenes], several)


def _scenes(path: Path) -> Inputs:
    if is_remote(path):
        return Inputs([path], several=False)
    if path.is_dir():
        otherwise = f"{path}: holds no scene; wanted files ending in {', '.join(RASTER_SUFFIXES)}"
        return Inputs(_nonempty(files_in(path), otherwise), True)
    if path.suffix.lower() == LIST and path.is_file():
        return Inputs(
            _nonempty(_listed(path), f"{path}: lists no scene; wanted a path or an address on each line"), True
        )
    if glob.has_magic(str(path)) and not path.exists():
        matching = sorted(file for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file())
        return Inputs(_nonempty(matching, f"{path}: no file matches; check the pattern"), True)
    return Inputs([path], several=False)


def jobs_of(inputs: Inputs, output: Path, uncertainty: bool) -> list[Job]:
    """Choose the output of each scene: the given file, or a file with the scene's stem in the given folder.

    A missing folder is made.

    Args:
        inputs: The scenes.
        output: A file or an existing folder for one scene; a folder for several.
        uncertainty: True if each scene also gets a map of the uncertainty.

    Raises:
        ConfigError: The output is a file but should be a folder, or two scenes would get the same output.
    """
    if not inputs.several and not output.is_dir():
        return [Job(inputs.scenes[0], output)]
    if output.suffix.lower() in RASTER_SUFFIXES or output.is_file():
        raise ConfigError(
            f"output {output} is a file, but the input is a set of scenes ({len(inputs.scenes)} found); "
            "name a folder, where each map gets the name of its scene"
        )
    jobs = [Job(scene, output / f"{stem_of(scene)}.tif") for scene in inputs.scenes]
    _require_apart(jobs, uncertainty)
    make_output_folder(output)
    return jobs


def map_paths(output: Path, uncertainty: bool) -> list[Path]:
    """Files of a scene's maps: the class map, and beside it the probability and, if wanted, the uncertainty."""
    names = ["_probability", "_uncertainty"] if uncertainty else ["_probability"]
    return [output, *(output.with_name(f"{output.stem}{name}{output.suffix}") for name in names)]


def _require_apart(jobs: Sequence[Job], uncertainty: bool) -> None:
    """Check that no map would replace another map or a scene."""
    makers: dict[str, Path] = {}
    for job in jobs:
        for path in map_paths(job.output, uncertainty):
            name = str(path.absolute()).casefold()  # Names that differ only in case are one file on some systems.
            if name in makers:
                raise ConfigError(
                    f"{job.scene}: its map would be {path}, like the map of {makers[name]}; "
                    "rename one of the scenes, or map them into different folders"
                )
            makers[name] = job.scene
    outputs = [path for job in jobs for path in map_paths(job.output, uncertainty)]
    require_apart(outputs, [job.scene for job in jobs])
    for path in outputs:
        require_own_raster(path)


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RasterError(f"{path}: not readable as a list of scenes ({error}); wanted UTF-8 text") from error
    named = [Path(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return [scene if is_remote(scene) else path.parent / scene for scene in named]


def _nonempty(scenes: list[Path], otherwise: str) -> list[Path]:
    if not scenes:
        raise RasterError(otherwise)
    return scenes
