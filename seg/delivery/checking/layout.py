"""Files and layers that a template asks for, compared with those in a folder."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from seg.delivery.checking.faults import Fault
from seg.delivery.template import Template
from seg.delivery.zones import Zones
from seg.parcels.vector_files import SIBLINGS


@dataclass(frozen=True)
class WantedFile:
    """A file that the template asks for, with the numbered files that it may be split into.

    Attributes:
        name: Name without a number.
        layers: Number of the zone of each layer, by name of the layer; a file of one layer has one entry.
        parts: Files that exist, in the order of their numbers.
    """

    name: PurePosixPath
    layers: dict[str, int]
    parts: list[PurePosixPath]


def wanted_files(folder: Path, template: Template, zones: Zones) -> list[WantedFile]:
    """Files that a template asks for, and their existing parts.

    Args:
        folder: The delivered folder.
        template: The template.
        zones: The zones.
    """
    present = set(_items(folder))
    by_file: dict[PurePosixPath, dict[str, int]] = {}
    for zone, values in enumerate(zones.values):
        file, layer = template.names(values)
        by_file.setdefault(file, {})[layer] = zone
    return [WantedFile(name, layers, _parts(name, present)) for name, layers in by_file.items()]


def layout_faults(folder: Path, wanted: list[WantedFile]) -> Iterator[Fault]:
    """Missing files, wrong names of files, and incomplete series of numbered files.

    Args:
        folder: The delivered folder.
        wanted: The files that the template asks for.
    """
    known = {part for file in wanted for part in file.parts}
    for file in wanted:
        if not file.parts:
            yield Fault("missing file", str(file.name), "", "", "does not exist")
        numbers = [_number(file.name, part) for part in file.parts]
        if len(numbers) > 1 and numbers != list(range(1, len(numbers) + 1)):
            text = f"its parts have the numbers {', '.join(map(str, numbers))} (0: no number); wanted 1, 2 and so on"
            yield Fault("name of file", str(file.name), "", "", text)
        elif numbers == [1]:
            yield Fault("name of file", str(file.parts[0]), "", "", f"is the only part; wanted {file.name.name}")
    for item in sorted(set(_items(folder)) - known):
        yield Fault("name of file", str(item), "", "", "is not a file of the template; remove or rename it")


def _parts(name: PurePosixPath, present: set[PurePosixPath]) -> list[PurePosixPath]:
    found = [item for item in present if item == name or _number(name, item)]
    return sorted(found, key=lambda item: _number(name, item))


def _number(name: PurePosixPath, item: PurePosixPath) -> int:
    """Number of a part; 0 for the plain name and for other files."""
    if item.parent != name.parent or item.suffix != name.suffix:
        return 0
    found = re.fullmatch(re.escape(name.stem) + r"_([1-9]\d*)", item.stem)
    return int(found[1]) if found else 0


def _items(folder: Path) -> Iterator[PurePosixPath]:
    """Files of a folder; a File Geodatabase and a shapefile with its siblings count as one."""
    for place, folders, files in os.walk(folder):
        here = PurePosixPath(Path(place).relative_to(folder).as_posix())
        yield from (here / name for name in folders if name.lower().endswith(".gdb"))
        folders[:] = [name for name in folders if not name.lower().endswith(".gdb")]
        shapes = {name.removesuffix(".shp") for name in files if name.endswith(".shp")}
        for name in files:
            is_sibling = any(name.endswith(end) and name.removesuffix(end) in shapes for end in SIBLINGS)
            if not is_sibling:
                yield here / name
