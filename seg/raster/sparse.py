"""Parts of a sparse GeoTIFF that were never written, known without reading them."""

from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.raster.chips import Reading


def holds_nothing(dataset: DatasetReader, window: Window, reading: Reading) -> bool:
    """Whether no pixel of a window is valid because the file holds no tile of it.

    Cheap: GDAL looks up where the tiles lie, and reads none. False where it cannot say, as in other formats.

    Args:
        dataset: An open raster; its handle must belong to this thread.
        window: Inside the raster.
        reading: Which bands, and what an invalid pixel is.
    """
    # A pixel is valid only where every band carries data, so one empty band is enough.
    band = reading.bands[0]
    # What was never written reads as the nodata value, or as 0 where the file declares none.
    invalid = dataset.nodatavals[band - 1] is not None or reading.nodata == 0
    if dataset.driver != "GTiff" or not invalid:
        return False
    tile_height, tile_width = dataset.block_shapes[band - 1]
    rows = range(window.row_off // tile_height, (window.row_off + window.height - 1) // tile_height + 1)
    columns = range(window.col_off // tile_width, (window.col_off + window.width - 1) // tile_width + 1)
    return not any(
        dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band) for row in rows for column in columns
    )
