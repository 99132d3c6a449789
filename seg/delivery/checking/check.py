"""Check a delivered folder against its template, layer by layer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS

from seg.delivery.areas import AreaMeasure
from seg.delivery.checking.content import Content, layers_of, read_layer
from seg.delivery.checking.dbf import DbfTable
from seg.delivery.checking.faults import Fault
from seg.delivery.checking.layout import WantedFile, layout_faults, wanted_files
from seg.delivery.checking.shapes import ZoneLines, outside_faults, overlap_faults, polygon_faults, small_faults
from seg.delivery.checking.values import Finding, ValueCheck, field_faults
from seg.delivery.template import MAP_CRS, Template
from seg.delivery.zones import Zones, read_zones
from seg.errors import ConfigError, RasterError
from seg.parcels.attributes import Attributes
from seg.raster.chips import Polygons
from seg.raster.ground.crs import wkt_key
from seg.raster.ground.outlines import Floats, metres_per_unit

Advance = Callable[[int, int], None]
"""Function called with the number of checked layers and of all layers."""

_CODE_PAGES = {"gbk": {"GBK", "CP936", "936"}, "utf-8": {"UTF-8", "UTF8", "65001"}}


@dataclass
class Checked:
    """Result of a check.

    Attributes:
        faults: Faults in the order of files and layers.
        layers: Number of layers.
        records: Number of records.
    """

    faults: list[Fault] = field(default_factory=list)
    layers: int = 0
    records: int = 0


@dataclass(frozen=True)
class _Part:
    """The records of a layer in one file; a layer that is split over files has several parts."""

    file: str
    layer: str
    content: Content
    names: list[str]
    polygons: Polygons
    areas_m2: Floats


def check(template: Template, folder: Path, zones: Path | None, advance: Advance = lambda done, total: None) -> Checked:
    """Compare a folder with a template.

    Memory grows with the largest layer and with the polygons at the lines between zones.

    Args:
        template: The template.
        folder: The delivered folder.
        zones: Polygons of the zones; None if the template uses no zones.
        advance: Called after each layer.

    Raises:
        ConfigError: The folder is missing, or zones and template do not fit together.
        RasterError: The zones cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name a delivered folder")
    crs = CRS.from_epsg(4490) if zones is None else Attributes(zones).crs
    return _Checker(template, folder, zones, read_zones(zones, template, crs)).run(advance)


class _Checker:
    def __init__(self, template: Template, folder: Path, path: Path | None, zones: Zones) -> None:
        self._template, self._folder, self._path, self._zones = template, folder, path, zones
        self._placed: dict[str, Zones] = {}
        self._lines = ZoneLines(template)
        self._unique: dict[str, list[tuple[pa.Array, _Part]]] = {
            rule.name: [] for rule in template.fields if rule.unique
        }
        self._checked = Checked()
        self._crs_seen: CRS | None = None

    def run(self, advance: Advance) -> Checked:
        wanted = wanted_files(self._folder, self._template, self._zones)
        self._checked.faults += layout_faults(self._folder, wanted)
        done, total = 0, sum(len(file.layers) for file in wanted)
        for file in wanted:
            counts = dict.fromkeys(file.parts, 0)
            present = {part: self._layers(part, file) for part in file.parts}
            for layer, zone in file.layers.items():
                parts = self._read(file, layer, present)
                for part in parts:
                    counts[PurePosixPath(part.file)] += len(part.names)
                self._check_layer(parts, zone)
                done += 1
                advance(done, total)
            self._check_counts(counts)
        self._check_unique()
        for (place, layer, record), text in self._lines.faults():
            self._checked.faults.append(Fault("gap at a zone line", place, layer, record, text))
        return self._checked

    def _layers(self, part: PurePosixPath, file: WantedFile) -> list[str]:
        """Layers of a file. A layer that the template does not have is a fault."""
        try:
            found = layers_of(self._folder / part)
        except RasterError as error:
            self._checked.faults.append(Fault("unreadable file", str(part), "", "", str(error)))
            return []
        if self._template.is_single:
            return list(file.layers)
        for layer in found:
            if layer not in file.layers:
                text = "the template has no such layer in this file"
                self._checked.faults.append(Fault("extra layer", str(part), layer, "", text))
        return found

    def _read(self, file: WantedFile, layer: str, present: dict[PurePosixPath, list[str]]) -> list[_Part]:
        parts = []
        for part in file.parts:
            if layer not in present[part]:
                continue
            try:
                content = read_layer(self._folder / part, layer, self._template.encoding)
            except RasterError as error:
                self._checked.faults.append(Fault("unreadable layer", str(part), layer, "", str(error)))
                continue
            parts.append(self._measured(str(part), layer, content))
        if not parts and file.parts:
            self._checked.faults.append(Fault("missing layer", str(file.parts[0]), layer, "", "does not exist"))
        return parts

    def _measured(self, file: str, layer: str, content: Content) -> _Part:
        polygons = content.polygons.copy()
        usable = np.isin(shapely.get_type_id(polygons), (3, 6)) & ~shapely.is_empty(polygons)
        usable &= shapely.is_valid(polygons)
        polygons[~usable] = None
        areas = np.full(len(polygons), np.nan)
        if content.crs is not None:
            areas[usable] = AreaMeasure(content.crs).square_metres(polygons[usable])
        key = next((rule.name for rule in self._template.fields if rule.unique), None)
        keys = content.table.column(key).to_pylist() if key in content.table.column_names else [None] * len(polygons)
        names = [
            f"record {number}" + (f", {key} {value}" if value is not None else "")
            for number, value in zip(content.numbers, keys, strict=True)
        ]
        return _Part(file, layer, content, names, polygons, areas)

    def _check_layer(self, parts: list[_Part], zone: int) -> None:
        self._checked.layers += 1
        values = ValueCheck(self._template, self._zones.values[zone])
        for part in parts:
            self._checked.records += len(part.names)
            self._add(part, self._crs_faults(part.content.crs, zone))
            self._add(part, field_faults(part.content, self._template))
            self._add(part, self._encoding_faults(part))
            self._add(part, polygon_faults(part.content.polygons))
            self._add(part, values.faults(part.content, part.areas_m2))
            on_line = self._check_zone(part, zone)
            self._add(part, small_faults(part.areas_m2, self._least(part.content), on_line))
            for name, seen in self._unique.items():
                if name in part.content.table.column_names:
                    seen.append((part.content.table.column(name).combine_chunks(), part))
        if parts:
            polygons = np.concatenate([part.polygons for part in parts])
            names = [name for part in parts for name in part.names]
            unit = metres_per_unit(parts[0].content.crs) if parts[0].content.crs else 1.0
            owner = np.repeat(np.arange(len(parts)), [len(part.names) for part in parts])
            starts = np.cumsum([0, *(len(part.names) for part in parts)])
            for kind, place, text in overlap_faults(polygons, unit, names):
                number = int(owner[place or 0])
                self._add(parts[number], iter([(kind, (place or 0) - int(starts[number]), text)]))

    def _add(self, part: _Part, findings: Iterator[Finding]) -> None:
        for kind, place, text in findings:
            record = "" if place is None else part.names[place]
            self._checked.faults.append(Fault(kind, part.file, part.layer, record, text))

    def _check_zone(self, part: _Part, zone: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        crs = part.content.crs
        if self._path is None or crs is None:
            return np.zeros(len(part.names), dtype=bool)
        key = crs.to_wkt()
        if key not in self._placed:
            self._placed[key] = read_zones(self._path, self._template, crs)
        polygon = self._placed[key].polygons[zone]
        self._add(part, outside_faults(part.polygons, polygon, metres_per_unit(crs)))
        records = [(part.file, part.layer, name) for name in part.names]
        on_line: np.ndarray[tuple[int], np.dtype[np.bool_]] = self._lines.add(part.polygons, polygon, crs, records)
        return on_line

    def _crs_faults(self, found: CRS | None, zone: int) -> Iterator[Finding]:
        if self._template.crs == MAP_CRS:
            self._crs_seen = self._crs_seen or found
            wanted = self._crs_seen
        else:
            wanted = self._zones.layer_crs(self._template, zone, (120, 30, 120, 30))
        if found is None or wanted is None or wkt_key(found.to_wkt()) != wkt_key(wanted.to_wkt()):
            wanted_name = "a CRS" if wanted is None else f"{wanted.to_string()[:40]} ({wanted.name})"
            yield "wrong CRS", None, f"its CRS is {found.name if found else 'unknown'}; wanted {wanted_name}"

    def _encoding_faults(self, part: _Part) -> Iterator[Finding]:
        if self._template.format != "ESRI Shapefile":
            return
        file, encoding = self._folder / part.file, self._template.encoding
        page = file.with_suffix(".cpg")
        declared = page.read_text(encoding="ascii", errors="replace").strip() if page.is_file() else "none"
        if declared.upper() not in _CODE_PAGES[encoding]:
            yield "wrong encoding", None, f"{page.name} declares {declared}; wanted {encoding.upper()}"
        table = DbfTable(file.with_suffix(".dbf"), encoding)
        for name in table.broken_names():
            yield "wrong encoding", None, f"the name of field {name} is not in {encoding.upper()}"
        for place, column, text in table.broken_texts():
            yield "wrong encoding", place, f"field {column} is '{text}', which is not in {encoding.upper()}"

    def _least(self, content: Content) -> Floats:
        least = self._template.least_area
        others = least.square_metres[None]
        if least.by is None or least.by not in content.table.column_names:
            return np.full(len(content.numbers), others)
        classes = content.table.column(least.by).cast(pa.string()).to_pylist()
        return np.array([least.square_metres.get(value, others) for value in classes], dtype=np.float64)

    def _check_counts(self, counts: dict[PurePosixPath, int]) -> None:
        for part, count in counts.items():
            if self._template.records is not None and count > self._template.records:
                text = f"has {count:,} records; wanted at most {self._template.records:,}"
                self._checked.faults.append(Fault("too many records", str(part), "", "", text))

    def _check_unique(self) -> None:
        for name, seen in self._unique.items():
            texts = [values.cast(pa.string()) for values, _ in seen]
            counts = pc.value_counts(pa.chunked_array(texts, pa.string()))
            double = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").drop_null()
            if not len(double):
                continue
            for values, (_, part) in zip(texts, seen, strict=True):
                for place in pc.indices_nonzero(pc.is_in(values, double)).to_pylist():
                    finding = "duplicate id", place, f"field {name} is {values[place]} in several records"
                    self._add(part, iter([finding]))
