"""Choose the output file of each scene of a command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError
from seg.files import make_output_folder
from seg.raster.folder import RASTER_SUFFIXES, Inputs
from seg.raster.remote import stem_of
from seg.raster.sources import require_apart, require_own_raster


@dataclass(frozen=True)
class Job:
    """A scene and its output.

    Attributes:
        scene: The raster.
        output: The class map to write; the other maps lie beside it.
        make: Function that writes the scene before it is read; None if the scene exists.
    """

    scene: Path
    output: Path
    make: Callable[[], object] | None = None


def jobs_of(inputs: Inputs, output: Path, uncertainty: bool, screening: bool = False) -> list[Job]:
    """Choose the output of each scene: the given file, or a file with the scene's stem in the given folder.

    If the folder does not exist, it is made.

    Args:
        inputs: The scenes.
        output: A file or an existing folder for one scene; a folder for several.
        uncertainty: True if each scene also gets a map of the uncertainty.
        screening: True if each scene also gets a map of its screened pixels.

    Raises:
        ConfigError: The output is a file but should be a folder, or two scenes would get the same output.
    """
    if not inputs.several and not output.is_dir():
        return [Job(inputs.scenes[0], output, inputs.makers.get(inputs.scenes[0]))]
    if output.suffix.lower() in RASTER_SUFFIXES or output.is_file():
        raise ConfigError(
            f"output {output} is a file, but the input is a set of scenes ({len(inputs.scenes)} found); "
            "name a folder, where each map gets the name of its scene"
        )
    jobs = [Job(scene, output / f"{stem_of(scene)}.tif", inputs.makers.get(scene)) for scene in inputs.scenes]
    _require_apart(jobs, uncertainty, screening)
    make_output_folder(output)
    return jobs


def map_paths(output: Path, uncertainty: bool, screening: bool = False) -> list[Path]:
    """Files of a scene's maps.

    Args:
        output: The class map; the probability map lies beside it.
        uncertainty: Add the map of the uncertainty.
        screening: Add the map of the screened pixels, which is the last one.
    """
    names = ["_probability", *["_uncertainty"] * uncertainty, *["_screened"] * screening]
    return [output, *(output.with_name(f"{output.stem}{name}{output.suffix}") for name in names)]


def _require_apart(jobs: Sequence[Job], uncertainty: bool, screening: bool) -> None:
    """Check that no map would replace another map or a scene."""
    makers: dict[str, Path] = {}
    for job in jobs:
        for path in map_paths(job.output, uncertainty, screening):
            name = str(path.absolute()).casefold()  # Names that differ only in case are one file on some systems.
            if name in makers:
                raise ConfigError(
                    f"{job.scene}: its map would be written to {path}, which is also the path for the map of "
                    f"{makers[name]}; rename one of the scenes, or map them into different folders"
                )
            makers[name] = job.scene
    outputs = [path for job in jobs for path in map_paths(job.output, uncertainty, screening)]
    require_apart(outputs, [job.scene for job in jobs])
    for path in outputs:
        require_own_raster(path)
