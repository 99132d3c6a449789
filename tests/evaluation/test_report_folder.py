import errno
import os
from pathlib import Path

import pytest

from seg.errors import ClaimError, WriteError
from seg.evaluation.report_folder import report_folder

REPORT = ("a.json", "a.png", "b.tif")


def test_files_of_a_report_appear_together(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with report_folder(report, REPORT) as unfinished:
        for name in REPORT:
            (unfinished / name).write_text("first")
        assert not list(report.glob("[ab].*"))
    with report_folder(report, REPORT) as unfinished:
        (unfinished / "a.json").write_text("second")
        assert len(list(report.glob("[ab].*"))) == 3
    assert [(path.name, path.read_text()) for path in report.iterdir()] == [("a.json", "second")]


def test_a_report_that_fails_leaves_the_earlier_one_or_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "a.json").write_text("earlier")

    def write_half(folder: Path) -> None:
        with report_folder(folder, REPORT) as unfinished:
            (unfinished / "a.json").write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for folder in (tmp_path / "earlier", tmp_path / "new"):
        with pytest.raises(WriteError, match=f"{folder}: cannot be written"):
            write_half(folder)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert left == ["earlier", "earlier/a.json", "new"]


def test_a_second_report_into_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        report_folder(tmp_path, REPORT),
        pytest.raises(ClaimError, match="another process uses this folder"),
        report_folder(tmp_path, REPORT),
    ):
        pass
