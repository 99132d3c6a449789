"""Results as JSON files that appear only when they are complete."""

import json
from collections.abc import Mapping
from pathlib import Path

from seg.raster.atomic import complete_or_absent


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write plain values; the file is complete or absent.

    Args:
        content: Without NaN or infinity, which JSON does not have.
        path: The file; its folder must exist.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with complete_or_absent(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
