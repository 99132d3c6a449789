"""Which scenes an input names, and which file each of them is mapped to."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, RasterError
from seg.files import make_output_folder
from seg.raster.folder import RASTER_SUFFIXES, files_in
from seg.raster.remote import is_remote, stem_of

LIST = ".txt"


@dataclass(frozen=True)
class Job:
    """A scene and what it is mapped to.

    Attributes:
        scene: The raster.
        output: The class map to write; the other maps lie beside it.
    """

    scene: Path
    output: Path


@dataclass(frozen=True)
class Inputs:
    """The scenes that an input names.

    Attributes:
        scenes: In the order in which they are mapped.
        several: Whether the input names a number of scenes, be it one, so that the output is a folder.
    """

    scenes: Sequence[Path]
    several: bool


def named_scenes(names: Sequence[Path]) -> Inputs:
    """The scenes that some names stand for.

    Args:
        names: Each a scene, an address of one, a folder, a pattern such as `scenes/*.tif` (`**` for folders in
            folders), or a text file with a scene or an address on each line; `#` begins a comment, and paths start at
            the file's folder.

    Raises:
        RasterError: A folder, a pattern or a list names nothing.
    """
    found = [_scenes(name) for name in names]
    several = len(found) > 1 or any(inputs.several for inputs in found)
    return Inputs([scene for inputs in found for scene in inputs.scenes], several)


def _scenes(path: Path) -> Inputs:
    if is_remote(path):
        return Inputs([path], several=False)
    if path.is_dir():
        otherwise = f"{path}: holds no scene; wanted files ending in {', '.join(RASTER_SUFFIXES)}"
        return Inputs(_some(files_in(path), otherwise), True)
    if path.suffix.lower() == LIST and path.is_file():
        return Inputs(_some(_listed(path), f"{path}: lists no scene; wanted a path or an address on each line"), True)
    if glob.has_magic(str(path)) and not path.exists():
        matching = sorted(file for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file())
        return Inputs(_some(matching, f"{path}: no file has such a name; check the pattern"), True)
    return Inputs([path], several=False)


def jobs_of(inputs: Inputs, output: Path, uncertainty: bool) -> list[Job]:
    """What each scene is mapped to: the output itself, or a file of the scene's stem in that folder.

    The folder is made where it is missing.

    Args:
        inputs: The scenes.
        output: A file for one scene, or a folder that exists; a folder for several.
        uncertainty: True if a scene gets a third map.

    Raises:
        ConfigError: The output is no folder and should be one, or two scenes would be mapped to one file.
    """
    if not inputs.several and not output.is_dir():
        return [Job(inputs.scenes[0], output)]
    if output.suffix.lower() in RASTER_SUFFIXES or output.is_file():
        raise ConfigError(
            f"output {output} is a file, but the input names {len(inputs.scenes)} scenes or a set of them; "
            "name a folder, where each map gets the name of its scene"
        )
    jobs = [Job(scene, output / f"{stem_of(scene)}.tif") for scene in inputs.scenes]
    _require_apart(jobs, uncertainty)
    make_output_folder(output)
    return jobs


def map_paths(output: Path, uncertainty: bool) -> list[Path]:
    """The maps of a scene: the class map, and beside it those of the probability and, if wanted, the uncertainty."""
    names = ["_probability", "_uncertainty"] if uncertainty else ["_probability"]
    return [output, *(output.with_name(f"{output.stem}{name}{output.suffix}") for name in names)]


def _require_apart(jobs: Sequence[Job], uncertainty: bool) -> None:
    """Check that no map would replace another one, or a scene."""
    # Names that differ in upper and lower case alone are one file on some systems.
    scenes = {str(job.scene.absolute()).casefold(): job.scene for job in jobs if not is_remote(job.scene)}
    makers: dict[str, Path] = {}
    for job in jobs:
        for path in map_paths(job.output, uncertainty):
            name = str(path.absolute()).casefold()
            if name in makers:
                raise ConfigError(
                    f"{job.scene}: would be mapped to {path}, as {makers[name]} is; "
                    "rename one of them, or map them into different folders"
                )
            if name in scenes:
                raise ConfigError(f"{path}: is a scene, which a map would replace; name another folder as output")
            makers[name] = job.scene


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RasterError(f"{path}: not readable as a list of scenes ({error}); wanted UTF-8 text") from error
    named = [Path(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return [scene if is_remote(scene) else path.parent / scene for scene in named]


def _some(scenes: list[Path], otherwise: str) -> list[Path]:
    if not scenes:
        raise RasterError(otherwise)
    return scenes
