import errno
import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from seg.errors import IncompleteError, RasterError
from seg.terminal.command_line import (
    EXIT_BAD_INPUT,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    guarded,
    run_command,
    with_nearest_key,
)


def shift(*, raster: Path, distance_m: float, bands: list[int] | None = None, repeat: int = 1) -> None:
    """Shift a raster.

    Args:
        raster: File to shift.
        distance_m: How far, in metres.
        bands: Which bands.
        repeat: How often.
    """
    print(f"{raster.name} {distance_m} {bands} {repeat}")


def fail_with(error: BaseException) -> int:
    def action() -> None:
        raise error

    return guarded(action)


def test_arguments_reach_the_function_with_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(shift, ["--raster", "a/b.tif", "--distance_m=2", "--bands=[1,2]"]) == 0
    assert capsys.readouterr().out == "b.tif 2.0 [1, 2] 1\n"


def test_characters_missing_in_the_terminal_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    assert guarded(lambda: print("15 亩 ± 2, 图, \udcb5.tif")) == 0
    stream.flush()
    assert stream.buffer.getvalue().decode("cp1252").strip() == r"15 mu ± 2, \u56fe, \udcb5.tif"  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [["--raster="], ["--raster", ""], ["--raster= "]])
def test_an_empty_value_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(shift, [*words, "--distance_m=2"]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == "error: --raster has an empty value; give it a value or leave it out\n"


def test_a_value_that_looks_like_an_option_is_an_error_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    def clip(*, area: str) -> None:
        """Clip to an area."""
        print(area)

    assert run_command(clip, ["--area", "-3,4,5,6"]) == EXIT_BAD_INPUT
    wanted = "error: --area has no value; write --area=VALUE, also if the value begins with a minus\n"
    assert capsys.readouterr().err == wanted
    assert run_command(clip, ["--area=-3,4,5,6"]) == 0


def test_subcommand_is_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    def other(*, name: str) -> None:
        print(f"other {name}")

    assert run_command({"shift": shift, "other": other}, ["other", "--name", "x"]) == 0
    assert capsys.readouterr().out == "other x\n"


def test_the_context_is_only_active_during_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    @contextmanager
    def within() -> Iterator[None]:
        print("enter")
        yield
        print("leave")

    assert run_command(shift, ["--raster=a.tif", "--distance_m=2"], within=within) == 0
    assert capsys.readouterr().out == "enter\na.tif 2.0 None 1\nleave\n"
    assert run_command(shift, ["--raster=a.tif"], within=within) == EXIT_BAD_INPUT
    assert capsys.readouterr().out == ""


def test_arguments_are_those_of_the_process_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["shift.py", "--raster", "a.tif", "--distance_m", "1"])
    assert run_command(shift) == 0
    assert capsys.readouterr().out == "a.tif 1.0 None 1\n"


def test_help_describes_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command(shift, ["--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    assert all(words in text for words in ("Shift a raster.", "File to shift.", "How far, in metres.", "--debug"))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "raster"),
        (["--raster", "a.tif"], "--distance-m"),
        (["--raster", "a.tif", "--distance_m", "far"], "--distance-m"),
        (["--raster", "a.tif", "--distance_m"], "--distance-m"),
        (["--raster", "a.tif", "--distance_m", "1", "--repeats", "2"], "the nearest known key is 'repeat'"),
        (["--raster", "a.tif", "--distance", "1"], "the nearest known key is 'distance-m'"),
        (["--raster", "a.tif", "--distance_m", "1", "--qqqqqq", "2"], "see --help"),
        (["--raster", "a.tif", "--distance_m", "1", "--repeat", "1.5"], "repeat"),
    ],
)
def test_bad_usage_is_reported_in_one_line_with_status_2(
    words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(shift, words) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert wanted in captured.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["shift", "--repeats", "2"], "'repeat'"),
        (["shfit"], "shift"),
        ([], "subcommand"),
    ],
)
def test_bad_usage_of_a_subcommand_is_reported_in_one_line_with_status_2(
    words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command({"shift": shift}, words) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert wanted in captured.err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (RasterError("a.tif: has 3 bands,\n wanted 4"), EXIT_BAD_INPUT, "a.tif: has 3 bands, wanted 4"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.tif"), EXIT_BAD_INPUT, "a.tif: No such file"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), EXIT_BAD_INPUT, "out: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "out"), EXIT_BAD_INPUT, "out: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left", "out"), EXIT_FAILURE, "out: No space left"),
        (OSError("lost the disk"), EXIT_FAILURE, "input or output: lost the disk"),
        (KeyError("x"), EXIT_FAILURE, "KeyError: 'x' (unexpected; add --debug for the traceback)"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "interrupted"),
    ],
)
def test_error_becomes_one_line_and_a_status(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(error) == status
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize("error", [RasterError("bad"), OSError(errno.ENOENT, "gone"), KeyError("x")])
def test_debug_raises_the_error(error: Exception) -> None:
    def break_down(*, name: str = "") -> None:
        raise error

    with pytest.raises(type(error)):
        run_command(break_down, ["--debug"])


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("Key 'modle' is not expected", "'model'"),
        ("unrecognized arguments: --data.btach 2", "'data.batch'"),
        ("unrecognized arguments: --epochs 2", "'trainer.max_epochs'"),
        ("No action for key 'optimzer' to check its value.", "'optimizer'"),
    ],
)
def test_unknown_key_gets_the_nearest_known_one(message: str, hint: str) -> None:
    keys = ["model", "data.batch", "trainer.max_epochs", "optimizer"]
    assert with_nearest_key(message, keys) == f"{message}; the nearest known key is {hint}"


def frame(*, block_size: int | Literal["auto"] = "auto", bands: list[int] | None = None, wrap: bool = False) -> None:
    """Frame a raster."""
    print(f"{block_size} {bands} {wrap}")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("--block-size=abc", "--block-size is 'abc'; wanted int or auto"),
        ("--bands=1,2,3", "--bands is '1,2,3'; wanted a list like [1,2] or null"),
        ("--bands=[1,a]", "--bands is '[1, 'a']'; wanted a list like [1,2] or null"),
        ("--wrap=maybe", "--wrap is 'maybe'; wanted true or false"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_in_one_plain_line(
    word: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(frame, [word]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == f"error: {line}\n"


def test_the_error_about_missing_arguments_names_them_as_a_user_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(shift, []) == EXIT_BAD_INPUT
    assert capsys.readouterr().err.endswith("required: --raster, --distance-m\n")


@pytest.mark.parametrize(("words", "shown"), [([], "False"), (["--wrap"], "True"), (["--wrap=false"], "False")])
def test_a_switch_needs_no_value(words: list[str], shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(frame, words) == 0
    assert capsys.readouterr().out == f"auto None {shown}\n"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--model", "a"], "['a'] False"),
        (["--model", "a", "b", "--turns"], "['a', 'b'] True"),
        (["--model=[a,b]", "--turns=[x,y]"], "['a', 'b'] ['x', 'y']"),
    ],
)
def test_options_of_list_types_accept_several_words(
    words: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def show(*, model: list[Path] | Path, turns: bool | list[str] = False) -> None:
        names = [model] if isinstance(model, Path) else model
        print([path.name for path in names], turns)

    assert run_command(show, words) == 0
    assert capsys.readouterr().out == f"{shown}\n"


def test_a_shortened_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(frame, ["--wra=true"]) == EXIT_BAD_INPUT
    assert "nearest known key is 'wrap'" in capsys.readouterr().err


def test_help_writes_options_with_hyphens(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command(frame, ["--help"])
    text = capsys.readouterr().out
    assert "--block-size" in text
    assert "--block_size" not in text


def test_help_of_several_commands_describes_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command({"shift": shift, "frame": frame}, ["--help"], "Handle rasters.")
    text = capsys.readouterr().out
    assert all(words in text for words in ("Handle rasters.", "Shift a raster.", "Frame a raster."))


def test_the_message_of_an_interrupt_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(KeyboardInterrupt("interrupted; go on so")) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "error: interrupted; go on so\n"


def test_other_messages_are_unchanged() -> None:
    assert with_nearest_key("Key 'x' is required", ["x"]) == "Key 'x' is required"


def test_a_number_of_thousands_of_digits_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(shift, ["--raster=a.tif", "--distance-m=1", f"--repeat={'1' * 5000}"]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == "error: --repeat has 5000 digits; wanted at most 20\n"


def test_partial_success_gives_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def do_half() -> None:
        raise IncompleteError("1 of 2 could not be done")

    assert guarded(do_half) == 1
    assert capsys.readouterr().err == "error: 1 of 2 could not be done\n"


@dataclass(frozen=True)
class Cut:
    """Size of blocks.

    Args:
        block_size: Side of a block.
        window: Part that is cut.
    """

    block_size: int
    window: str = "all"


@dataclass(frozen=True)
class Weight:
    """Weight of classes.

    Args:
        cropland: Weight of cropland.
    """

    cropland: float = 1.0


def cut(*, raster: Path, size: Cut, weight: Weight, labels: Weight = Weight(2.0)) -> None:
    """Cut a raster.

    Args:
        raster: File to cut.
        size: Size of blocks.
        weight: Weight of classes.
        labels: Another one.
    """
    print(raster.name, size, weight, labels)


def test_fields_of_several_dataclasses_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--raster=a.tif", "--block-size=7", "--cropland=0.5", "--labels.cropland=3"]
    assert run_command(cut, words) == 0
    assert capsys.readouterr().out == f"a.tif {Cut(7)} {Weight(0.5)} {Weight(3.0)}\n"


def test_a_required_field_of_a_dataclass_is_a_required_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(cut, ["--raster=a.tif"]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == "error: the following arguments are required: --block-size\n"


def test_help_describes_the_fields_of_dataclasses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command(cut, ["--help"])
    said = capsys.readouterr().out
    assert all(text in said for text in ("Side of a block.", "--window", "--cropland", "--labels.cropland"))


def test_a_name_that_is_not_utf8_gets_the_advice_to_rename(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(frame, ["--block-size=7", "--name=\udcb5\udcd8.tif"]) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("error: --name=")
    assert said.endswith("its name is not UTF-8; rename the file or folder, e.g. by convmv -f gbk -t utf8 --notest\n")


def test_messages_of_modules_are_printed_and_warnings_are_notes(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("seg.somewhere")

    def work() -> None:
        log.info("measuring")
        log.warning("damaged")
        log.debug("detail")

    assert guarded(work) == 0
    log.info("after the command")
    assert capsys.readouterr() == ("measuring\n", "note: damaged\n")
