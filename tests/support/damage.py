"""Damage to files, as from a broken disk or an incomplete copy."""

from pathlib import Path

import rasterio


def damage_tile(path: Path, row: int, column: int, band: int = 1) -> None:
    """Overwrite the compressed bytes of one tile of a GeoTIFF, so that it cannot be decoded."""
    with rasterio.open(path) as dataset:
        start, length = (
            int(dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=band)) for what in ("OFFSET", "SIZE")
        )
    with path.open("rb+") as file:
        file.seek(start)
        file.write(b"\xff" * length)
