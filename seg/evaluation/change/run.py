"""Change between two maps as rasters, polygons and areas: `scripts/evaluate.py change`."""

from pathlib import Path

from seg import __version__
from seg.evaluation.change.classes import CHANGE_NAMES, GAINED, LOST
from seg.evaluation.change.maps import (
    ChangeTally,
    Maps,
    tally_change,
    write_change_map,
    write_probability_map,
)
from seg.evaluation.change.polygons import COLUMNS, DIRECTIONS, LAYER, ChangePolygons, write_change_polygons
from seg.evaluation.change.sheet import write_sheet
from seg.evaluation.report_folder import report_folder
from seg.evaluation.settings import ChangeSettings
from seg.files import require_output_folder, write_json
from seg.parcels.formats import require_own_table
from seg.raster.sources import raster_sha256, require_apart, require_own_raster, require_replaceable
from seg.terminal.text import text_table

FILES = CHANGE_MAP, PROBABILITY_MAP, POLYGONS, SUMMARY, SHEET = (
    "change.tif",
    "change_probability.tif",
    "change.gpkg",
    "change.json",
    "sheet.html",
)
"""Files of a comparison. Probabilities exist only if both maps have probabilities; the sheet may be turned off."""

RULE = (
    "a change is supported where the probability that both maps are right is above the confidence: (1 - before) * "
    "after for a gain, before * (1 - after) for a loss; valid for calibrated probabilities and independent errors"
)


def measure_change(maps: Maps, output: Path, settings: ChangeSettings) -> dict[str, object]:
    """Map the change between two maps: write rasters, polygons and change.json, and print the areas.

    Args:
        maps: The two maps, with their probabilities if known.
        output: Folder for the files; made if its parent exists.
        settings: Smallest polygon, and confidence.

    Returns:
        Content of change.json.

    Raises:
        ConfigError: The folder cannot be made, or a file to write is one of the inputs.
        RasterError: A map cannot be read, lies on another grid or has no known ground area.
        WriteError: A file cannot be written; files of an earlier comparison do not change.
        ClaimError: Another process writes a comparison to the folder.
    """
    require_output_folder(output)
    outputs = [output / name for name in FILES]
    for name in (SUMMARY, SHEET):
        require_replaceable(output / name)
    require_own_table(output / POLYGONS, LAYER, COLUMNS)
    require_own_raster(output / CHANGE_MAP)
    require_own_raster(output / PROBABILITY_MAP)
    require_apart(outputs, maps.files)
    with report_folder(output, FILES) as unfinished:
        tally = tally_change(maps, settings.confidence)
        write_change_map(maps, unfinished / CHANGE_MAP)
        probability = unfinished / PROBABILITY_MAP if maps.probabilities else None
        if probability is not None:
            write_probability_map(maps, probability)
        polygons = write_change_polygons(unfinished / CHANGE_MAP, probability, unfinished / POLYGONS, settings)
        content = _as_json(maps, settings, tally, polygons)
        if settings.sheet:
            write_sheet(maps, unfinished / POLYGONS, content, settings, unfinished / SHEET)
        write_json(content, unfinished / SUMMARY)
        print(_change_text(maps, settings, tally, polygons))
    left_out = {PROBABILITY_MAP: maps.probabilities is None, SHEET: settings.sheet == 0}
    for name in FILES:
        if not left_out.get(name):
            print(f"written: {output / name}")
    return content


def _as_json(
    maps: Maps, settings: ChangeSettings, tally: ChangeTally, polygons: dict[str, ChangePolygons]
) -> dict[str, object]:
    names = {value: name.replace(" ", "_") for value, name in CHANGE_NAMES.items()}
    files = {"before": maps.before, "after": maps.after}
    if maps.probabilities:
        files |= dict(zip(("before_probability", "after_probability"), maps.probabilities, strict=True))
    known = maps.probabilities is not None
    return {
        "software": {"name": "cropland-seg", "version": __version__},
        "settings": {"min_area": settings.min_area, "confidence": settings.confidence},
        "maps": {name: {"path": str(path), "sha256": raster_sha256(path)} for name, path in files.items()},
        "rule": RULE if known else None,
        "pixels": {name: int(tally.pixels[value]) for value, name in names.items()},
        "area_ha": {name: float(tally.hectares[value]) for value, name in names.items()},
        "unsupported_ha": {names[v]: float(tally.unsupported_ha[v]) for v in DIRECTIONS} if known else None,
        "net_change_ha": float(tally.hectares[GAINED] - tally.hectares[LOST]),
        "polygons": {name: vars(found) for name, found in polygons.items()},
    }


def _change_text(maps: Maps, settings: ChangeSettings, tally: ChangeTally, polygons: dict[str, ChangePolygons]) -> str:
    rows = []
    for value, name in CHANGE_NAMES.items():
        found = polygons.get(DIRECTIONS.get(value, ""))
        known = maps.probabilities is not None and value in DIRECTIONS
        unsupported = f"{tally.unsupported_ha[value]:,.2f}" if known else "-"
        polygon_cells = [f"{found.count:,}", f"{found.hectares:,.2f}"] if found else ["-", "-"]
        rows.append([name, f"{tally.hectares[value]:,.2f}", unsupported, *polygon_cells])
    support = "without probability maps, the support of the change is unknown"
    if maps.probabilities is not None:
        support = f"confidence {settings.confidence:g}: {RULE}"
    lines = [
        f"{maps.before} to {maps.after}",
        "",
        text_table(["", "ha", "unsupported ha", "polygons", "ha in polygons"], rows),
        "",
        f"net change of cropland: {tally.hectares[GAINED] - tally.hectares[LOST]:+,.2f} ha",
        support,
        f"these areas include the errors of both maps; for an estimate with intervals, draw a sample of {CHANGE_MAP}",
    ]
    return "\n".join(lines)
