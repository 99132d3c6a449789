"""Import of Fields of The World: Sentinel-2 chips of two seasons in 24 countries, with field masks."""

from collections.abc import Sequence
from pathlib import Path

from seg.data.settings import Boundary, SeasonWindow
from seg.data.sources.legend import Legend, Meaning
from seg.data.sources.origin import Found, Origin, Pair, no_mask, wrong_layout
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

ORIGIN = Origin(
    name="Fields of The World",
    home="https://fieldsofthe.world/",
    licence="by country, some non-commercial: https://github.com/fieldsoftheworld/ftw-datasets-list",
    citation=(
        "Kerner, H., Chaudhari, S., Ghosh, A., Robinson, C., Ahmad, A., et al. (2024). Fields of The World: A Machine "
        "Learning Benchmark Dataset For Global Agricultural Field Boundary Segmentation. arXiv:2409.16252"
    ),
)

_BOUNDARY_LABELS: dict[Boundary, int] = {"cropland": CROPLAND, "other": OTHER, "ignore": IGNORE}
_HELD_OUT = {"train": False, "val": True, "test": True}
_SEASONS = {"a": "planting", "b": "harvest"}
_BANDS = ("red", "green", "blue", "nir")
_TWO_CLASSES, _THREE_CLASSES = "semantic_2class", "semantic_3class"


def find_ftw(folder: Path, boundary: Boundary = "cropland", window: SeasonWindow = "both") -> Found:
    """Find the labelled chips of every country in a folder; chips of val and test are held out.

    A mask with 2 classes holds whole fields. A mask with 3 classes has a separate boundary class, which includes every
    pixel that a boundary touches, even outside the fields
    (https://huggingface.co/datasets/taylor-geospatial/ftw-planet). To label boundaries as cropland, the masks with 2
    classes are used if they exist. Layout and values follow the README of the dataset
    (https://github.com/fieldsoftheworld/ftw-datasets-list). In countries where only some fields were mapped, value 3
    marks unlabelled ground, as in `datasets/ftw.py` of torchgeo.

    Args:
        folder: Folder of a country, or of several country folders.
        boundary: Label of field boundaries.
        window: Season of the images.

    Raises:
        DatasetError: The folder has another layout, a table of chips is damaged, or an image has no mask.
    """
    inside = sorted(path for path in (*folder.glob("*"), *folder.glob("ftw/*")) if path.is_dir())
    countries = [path for path in (folder, *inside) if (path / "s2_images").is_dir()]
    if not countries:
        raise wrong_layout(folder, ORIGIN, "s2_images, label_masks and chips_COUNTRY.parquet in it or in its folders")
    filled = boundary == "cropland" and all((path / "label_masks" / _TWO_CLASSES).is_dir() for path in countries)
    kind = _TWO_CLASSES if filled else _THREE_CLASSES
    pairs, skipped = [], dict.fromkeys(("have no image", "are in no part of the official split"), 0)
    for country in countries:
        for chip, part in sorted(_chips(country).items()):
            found = _pairs_of_chip(country, chip, kind, window)
            lacking = not found or (window == "pair" and len(found) < len(_SEASONS))
            if lacking or part not in _HELD_OUT:
                skipped["have no image" if lacking else "are in no part of the official split"] += 1
                continue
            held_out = _HELD_OUT[part]
            if window == "pair":
                pairs.append(_stacked(found, held_out))
            else:
                pairs += [Pair(image, mask, name, place, held_out) for image, mask, name, place in found]
    if not pairs:
        raise wrong_layout(countries[0], ORIGIN, "the images of its chips, s2_images/window_a/CHIP.tif and window_b")
    notes = [f"chips that {lack} were left out (chips: {count})" for lack, count in skipped.items() if count]
    return Found(pairs, _legend(None if filled else _BOUNDARY_LABELS[boundary]), notes)


def _stacked(found: Sequence[tuple[Path, Path, str, str]], held_out: bool) -> Pair:
    """The images of both seasons as one pair."""
    (image, mask, _, place), _ = found
    dates = {season: path for season, (path, *_) in zip(_SEASONS.values(), found, strict=True)}
    return Pair(image, mask, place, place, held_out, dates, _BANDS)


def _legend(edge: int | None) -> Legend:
    edges = () if edge is None else (Meaning(2, "field boundary", edge),)
    known = Meaning(0, "background", OTHER), Meaning(1, "field", CROPLAND)
    return Legend((*known, *edges, Meaning(3, "unlabelled", IGNORE)))


def _chips(country: Path) -> dict[str, str]:
    """Part of the official split for each chip."""
    # Imported here because this import is slow, and other datasets do not need it.
    import pyarrow
    import pyarrow.parquet

    tables = sorted(country.glob("chips_*.parquet"))
    if len(tables) != 1:
        names = ", ".join(path.name for path in tables) or "none"
        raise DatasetError(f"{country}: has {names}; wanted one table, chips_{country.name}.parquet; unpack it again")
    columns = ["aoi_id", "split"]
    try:
        table = pyarrow.parquet.read_table(tables[0], columns=columns)
        chips, parts = (table.column(name).to_pylist() for name in columns)
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(
            f"{tables[0]}: not a readable table with aoi_id and split ({reason}); download it again"
        ) from error
    return {str(chip): str(part) for chip, part in zip(chips, parts, strict=True)}


def _pairs_of_chip(country: Path, chip: str, kind: str, window: SeasonWindow) -> list[tuple[Path, Path, str, str]]:
    mask = country / "label_masks" / kind / f"{chip}.tif"
    place = f"{country.name}_{chip}"
    found = []
    for season in _SEASONS if window in ("both", "pair") else (window,):
        image = country / "s2_images" / f"window_{season}" / f"{chip}.tif"
        if image.is_file():
            if not mask.is_file():
                raise no_mask(image, mask)
            found.append((image, mask, f"{place}_{season}", place))
    return found
