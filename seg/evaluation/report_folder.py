"""Folder of a report; its files are moved into place together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seg.errors import WriteError
from seg.files import claimed, make_output_folder, put_in_place, remove_if_empty, work_folder, writing


@contextmanager
def report_folder(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield a folder for the files of a report, and move them into place if the `with` block ends without an error.

    If the new report lacks a file of an earlier report, the earlier file is removed. All other files in the folder
    stay.

    Args:
        folder: Folder of the report; made if its parent exists. After an error, a newly made folder is removed again,
            except after a WriteError, for example on a full disk.
        names: Names of all files that a report may have.

    Raises:
        ConfigError: The folder cannot be made.
        ClaimError: Another process writes a report to the folder.
        WriteError: The disk is full.
    """
    with _removed_after_a_mistake(folder), claimed(folder), work_folder(folder / "report") as unfinished:
        with writing(folder):
            yield unfinished
        for name in names:
            with writing(folder / name):
                if (unfinished / name).exists():
                    put_in_place(unfinished / name, folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)


@contextmanager
def _removed_after_a_mistake(folder: Path) -> Iterator[None]:
    existed = folder.exists()
    make_output_folder(folder)
    try:
        yield
    except WriteError:
        raise
    except BaseException:
        if not existed:
            remove_if_empty(folder)
        raise
