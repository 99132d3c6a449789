"""The folder that a report is written into."""

import os
from pathlib import Path

from seg.errors import ConfigError


def require_output_folder(folder: Path) -> None:
    """Check that a folder exists or can be made, before the work whose result goes there. Makes nothing.

    Raises:
        ConfigError: It is a file, its parent does not exist, or it may not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, wanted a folder for the report; give another output")
    place = folder if folder.exists() else folder.absolute().parent
    if not place.is_dir():
        raise ConfigError(f"{folder}: its parent folder {place} does not exist; make it or give another output")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: {place} may not be written; change its permissions or give another output")


def make_output_folder(folder: Path) -> None:
    """Make the folder unless it exists; its parent must.

    Raises:
        ConfigError: It cannot be made.
    """
    require_output_folder(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); give another output") from error
