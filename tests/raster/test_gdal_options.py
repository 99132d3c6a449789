import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config

from seg.raster.gdal_options import CACHE, MIB, SERVERS, gdal_options
from seg.raster.grid import read_grid
from support.project import environment

T = TypeVar("T")

RETRIES = "GDAL_HTTP_MAX_RETRY"
LIMITS = ("GDAL_CACHEMAX", RETRIES)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GDAL_CACHEMAX", *SERVERS):
        monkeypatch.delenv(name, raising=False)


def found() -> list[object]:
    return [get_gdal_config(name) for name in LIMITS]


def in_thread(function: Callable[[], T]) -> T:
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_options_hold_in_every_thread_until_the_command_ends() -> None:
    before = found()
    with gdal_options():
        assert found() == in_thread(found) == [CACHE, 3]
    assert found() == in_thread(found) == before


def test_another_thread_sets_its_own_options() -> None:
    def within() -> list[object]:
        with gdal_options(cache=None):
            return found()

    assert in_thread(within)[1] == 3
    assert found()[1] is None


def test_every_option_for_servers_is_set() -> None:
    with gdal_options():
        assert {name: str(get_gdal_config(name)) for name in SERVERS} == SERVERS


def test_an_environment_of_the_caller_takes_precedence() -> None:
    with rasterio.Env(GDAL_CACHEMAX=5 * MIB, GDAL_HTTP_MAX_RETRY=9), gdal_options():
        assert found() == [5 * MIB, 9]


def test_an_inner_command_changes_and_restores_the_cache() -> None:
    with gdal_options(64 * MIB):
        with gdal_options(100 * MIB):
            assert found() == in_thread(found) == [100 * MIB, 3]
        assert found() == [64 * MIB, 3]


def test_without_a_size_the_cache_is_unchanged() -> None:
    before = found()[0]
    with gdal_options(cache=None):
        assert found() == [before, 3]


PROGRAM = """
import json, os
import seg.inference.scene  # this import must not set GDAL's options
from rasterio.env import get_gdal_config
from seg.raster.gdal_options import {name}
kept = dict(os.environ)
{enter}
print(json.dumps([get_gdal_config("GDAL_CACHEMAX"), get_gdal_config("GDAL_HTTP_MAX_RETRY"), kept == dict(os.environ)]))
"""


@pytest.mark.parametrize(
    ("name", "enter"),
    [("gdal_options", "within = gdal_options(1); within.__enter__()"), ("set_gdal_options", "set_gdal_options()")],
)
@pytest.mark.parametrize("asked", [{}, {"GDAL_CACHEMAX": "64", RETRIES: "7"}], ids=["plain", "by the user"])
def test_a_process_keeps_what_its_user_set_in_the_environment(name: str, enter: str, asked: dict[str, str]) -> None:
    plain = {key: value for key, value in environment().items() if not key.startswith("GDAL_")}
    command = [sys.executable, "-c", PROGRAM.format(name=name, enter=enter)]
    done = subprocess.run(command, env=plain | asked, capture_output=True, text=True, check=True)
    cache, retries, unchanged = json.loads(done.stdout)
    assert unchanged
    assert (cache, retries) == ((64 * MIB, 7) if asked else (1 if name == "gdal_options" else CACHE, 3))
    assert os.environ.keys().isdisjoint(LIMITS)


def test_a_warning_of_gdal_that_is_not_utf8_is_not_shown(write_raster: Callable[..., Path], tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(sensor="GF-2")
    path.write_bytes(path.read_bytes().replace(b'name="sensor">', b'name="sensor"\xff'))
    shown: list[type[BaseException] | None] = []
    before = sys.unraisablehook, sys.excepthook
    sys.unraisablehook = lambda arguments: shown.append(arguments.exc_type)
    sys.excepthook = lambda kind, error, trace: shown.append(kind)
    try:
        with gdal_options():
            assert read_grid(path).bands == 1
            sys.excepthook(ValueError, ValueError(), None)
    finally:
        sys.unraisablehook, sys.excepthook = before
    assert shown == [ValueError]
