"""Deliver parcels by a template: cut them, fill the fields, split the records into files, rename the whole folder."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seg.delivery.cutting import Cutter, ZoneSpool
from seg.delivery.parcels import ParcelSource
from seg.delivery.rows import LayerRows, PlacedRows
from seg.delivery.template import Template
from seg.delivery.zones import Zones, read_zones
from seg.errors import ConfigError
from seg.files import flush, remove_unfinished, require_output_folder, work_folder
from seg.parcels.formats import write_table
from seg.parcels.vector_files import Layer
from seg.parcels.write_parcels import ordered_map
from seg.terminal.text import counted

Advance = Callable[[int, int], None]
"""Function called with the number of finished parcels and of all parcels; each of two passes counts every parcel."""


@dataclass
class Delivered:
    """Summary of a delivery.

    Attributes:
        files: Files, relative to the delivered folder.
        layers: Number of layers; a layer that continues in another file counts once.
        records: Number of records.
        square_metres: Total area of the records.
        dropped: Number of pieces whose parcel is smaller than the least area, and the area of these pieces in square
            metres.
        outside: Number of parcels that have a part outside all zones, and the area of these parts in square metres.
    """

    files: list[PurePosixPath] = field(default_factory=list)
    layers: int = 0
    records: int = 0
    square_metres: float = 0.0
    dropped: tuple[int, float] = (0, 0.0)
    outside: tuple[int, float] = (0, 0.0)

    def text(self, output: Path) -> str:
        """Summary for the terminal.

        Args:
            output: The delivered folder.
        """
        files, layers, records = (
            counted(number, noun)
            for number, noun in ((len(self.files), "file"), (self.layers, "layer"), (self.records, "record"))
        )
        lines = [f"{output}: {files}, {layers}, {records}, {self.square_metres / 1e4:,.2f} ha"]
        for (number, area), reason in (
            (self.dropped, "smaller than the least area, left out"),
            (self.outside, "outside the zones, left out"),
        ):
            if number:
                lines.append(f"{counted(number, 'parcel')} with {area / 1e4:,.2f} ha {reason}")
        return "\n".join(lines)


def deliver(
    template: Template,
    parcels: Path,
    zones: Path | None,
    output: Path,
    threads: int = 2,
) -> "Delivery":
    """Prepare a delivery: check template, inputs and output; `Delivery.write` writes it.

    Args:
        template: The template.
        parcels: File of parcels.
        zones: Polygons of the zones; None if the template uses no zones.
        output: Folder to write; it must be absent or empty.
        threads: Number of threads.

    Raises:
        ConfigError: The output has files, or template, parcels and zones do not fit together.
        RasterError: An input cannot be read.
    """
    require_output_folder(output)
    if output.is_dir() and any(output.iterdir()):
        remove_unfinished(output)
        raise ConfigError(f"{output}: has files; a delivery needs a new or empty folder")
    source = ParcelSource(parcels, template.parcel_columns)
    return Delivery(template, source, read_zones(zones, template, source.crs), output, threads)


class Delivery:
    """A delivery whose inputs have been checked; `deliver` makes it."""

    def __init__(self, template: Template, source: ParcelSource, zones: Zones, output: Path, threads: int) -> None:
        self._template, self._source, self._zones = template, source, zones
        self._output, self._threads = output, threads
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self._unique: dict[str, list[pa.Array]] = {rule.name: [] for rule in template.fields if rule.unique}
        self._summary = Delivered()

    def write(self, advance: Advance = lambda done, total: None) -> Delivered:
        """Write the folder, whole or not at all.

        Args:
            advance: Called after each batch.

        Raises:
            ConfigError: A value does not fit into its field, has no code, or is not unique; or two files have one name.
            RasterError: A parcel is not a valid polygon, or lies beyond the area of the CRS.
            WriteError: The folder cannot be written.
            ClaimError: Another process writes the same folder.
        """
        with work_folder(self._output) as folder:
            (folder / "spool").mkdir()
            tree = folder / self._output.name
            tree.mkdir()
            spool = ZoneSpool(folder / "spool", len(self._zones.values))
            total = 2 * self._source.count
            for done in self._cut(spool):
                advance(done, total)
            for done in self._write_files(spool, tree):
                advance(min(self._source.count + done, total), total)
            self._require_unique()
            for path in tree.rglob("*"):
                if path.is_file():
                    flush(path)
            if self._output.exists():
                self._output.rmdir()
            tree.rename(self._output)
        return self._summary

    def _cut(self, spool: ZoneSpool) -> Iterator[int]:
        cutter, done = Cutter(self._zones, str(self._source.path)), 0
        outside, outside_m2 = 0, 0.0
        with (
            closing(self._source.batches()) as batches,
            closing(ordered_map(cutter.cut, batches, self._threads)) as cut,
        ):
            for pieces in cut:
                spool.add(pieces)
                outside, outside_m2 = outside + pieces.outside, outside_m2 + pieces.outside_m2
                self._bounds[:2] = np.fmin(self._bounds[:2], pieces.bounds[:2])
                self._bounds[2:] = np.fmax(self._bounds[2:], pieces.bounds[2:])
                done += len(pieces.zones)
                yield min(done, self._source.count)
        spool.flush()
        self._summary.outside = outside, outside_m2
        if not np.isfinite(self._bounds).all():
            raise ConfigError(f"{self._source.path}: has no parcel; wanted at least one")

    def _write_files(self, spool: ZoneSpool, tree: Path) -> Iterator[int]:
        by_file: dict[PurePosixPath, list[int]] = {}
        for zone, values in enumerate(self._zones.values):
            by_file.setdefault(self._template.names(values)[0], []).append(zone)
        for name, zones in by_file.items():
            files = _Parts(tree, name, self._template.records)
            for zone in zones:
                self._write_layer(spool, zone, files)
                yield self._summary.records
            for written in files.named():
                if written in self._summary.files:
                    raise ConfigError(
                        f"two files of the delivery would have the name {written}; change 'file' in the template"
                    )
                self._summary.files.append(written)

    def _write_layer(self, spool: ZoneSpool, zone: int, files: "_Parts") -> None:
        values = self._zones.values[zone]
        left, bottom, right, top = self._bounds.tolist()
        crs = self._zones.layer_crs(self._template, zone, (left, bottom, right, top))
        rows = LayerRows(self._template, values, self._zones.crs, crs, str(self._source.path))
        _, layer = self._template.names(values)
        self._summary.layers += 1
        # Closing ends the threads after an error. Without it, they run until Python collects the generators.
        with (
            closing(spool.read(zone)) as pieces,
            closing(ordered_map(rows.placed, pieces, self._threads)) as placed,
        ):
            records = _Pushed(self._filled(rows, placed))
            while True:
                file, room = files.current()
                shown = file.stem if self._template.is_single else layer
                form = Layer(shown, rows.schema, crs, self._template.encoding)
                write_table(file, form, files.counted(records.take(room)))
                if records.is_done():
                    break

    def _filled(self, rows: LayerRows, placed: Iterator[PlacedRows]) -> Iterator[pa.RecordBatch]:
        number = 1
        for each in placed:
            summary = self._summary
            summary.dropped = summary.dropped[0] + each.dropped, summary.dropped[1] + each.dropped_m2
            batch = rows.filled(each, number)
            number += batch.num_rows
            summary.records += batch.num_rows
            summary.square_metres += float(each.areas_m2.sum())
            for name, seen in self._unique.items():
                seen.append(batch.column(name).drop_null())
            yield batch

    def _require_unique(self) -> None:
        for name, arrays in self._unique.items():
            counts = pc.value_counts(pa.chunked_array(arrays, arrays[0].type if arrays else pa.string()))
            double = counts.filter(pc.greater(counts.field("counts"), 1))
            if len(double):
                raise ConfigError(
                    f"{self._source.path}: field '{name}' is unique, but {double[0]['counts']} records have "
                    f"'{double[0]['values']}'; add the term 'number' to its source"
                )


class _Pushed:
    """Iterator of batches that can stop within a batch and go on from there."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def take(self, most: int | None) -> Iterator[pa.RecordBatch]:
        """Batches with at most `most` rows in total; None for all rows."""
        while not self.is_done() and (most is None or most > 0):
            batch = self._rest
            assert batch is not None
            count = batch.num_rows if most is None else min(most, batch.num_rows)
            self._rest = batch.slice(count) if count < batch.num_rows else None
            most = None if most is None else most - count
            yield batch.slice(0, count)

    def is_done(self) -> bool:
        """True if no row is left."""
        while self._rest is None or not self._rest.num_rows:
            self._rest = next(self._batches, None)
            if self._rest is None:
                return True
        return False


class _Parts:
    """Files into which the limit of records splits one file of the template."""

    def __init__(self, tree: Path, name: PurePosixPath, records: int | None) -> None:
        self._tree, self._name, self._records = tree, name, records
        self._part, self._written = 1, 0
        (tree / name).parent.mkdir(parents=True, exist_ok=True)

    def current(self) -> tuple[Path, int | None]:
        """The file to write next, and the number of records that it may still get; None without a limit."""
        if self._records is None:
            return self._tree / self._named(self._part), None
        if self._written >= self._records:
            self._part, self._written = self._part + 1, 0
        return self._tree / self._named(self._part), self._records - self._written

    def counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._written += batch.num_rows
            yield batch

    def named(self) -> list[PurePosixPath]:
        """Names of the files; a single file is renamed to a name without a number."""
        if self._part > 1:
            return [self._named(part) for part in range(1, self._part + 1)]
        first = self._tree / self._named(1)
        for path in list(first.parent.iterdir()):
            if path.name.startswith(f"{first.stem}."):
                path.rename(path.with_name(self._name.stem + path.name.removeprefix(first.stem)))
        return [self._name]

    def _named(self, part: int) -> PurePosixPath:
        return self._name.with_name(f"{self._name.stem}_{part}{self._name.suffix}")
