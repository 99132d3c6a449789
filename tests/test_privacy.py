import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seg.package.write import add_onnx
from support.packages import write_tiny_package
from support.project import ROOT
from support.training import write_config

GUARDED = """
import socket, sys

def refuse(self, address, *_):
    if self.family != socket.AF_UNIX:
        print("CONNECTED TO", address)
    raise OSError("no network here")

socket.socket.connect = socket.socket.connect_ex = refuse
from seg.entry.program import main
folder, model = sys.argv[1:]
for words in (
    ["prepare", "stats", f"--input={folder}/data"],
    ["train", "fit", f"--config={folder}/config.yaml"],
    ["export", f"--checkpoint={folder}/run/checkpoints/last.ckpt", f"--output={folder}/model"],
    ["predict", f"--model={model}", f"--input={folder}/data/images/scene_0.tif", f"--output={folder}/map.tif",
     "--any-unit=true"],
    ["evaluate", f"--prediction={folder}/map.tif", f"--reference={folder}/data/masks/scene_0.tif",
     f"--output={folder}/report", "--bootstrap=5"],
):
    print(words[0], "STATUS", main(words))
"""
SILENT = ("ORT_DISABLE_TELEMETRY", "NO_ALBUMENTATIONS_UPDATE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")


@pytest.mark.parametrize("exports", [False, pytest.param(True, marks=pytest.mark.campaign)])
def test_the_five_commands_use_no_network_and_write_only_their_outputs(
    tmp_path: Path, make_dataset: Callable[..., Path], exports: bool
) -> None:
    """The package of the prediction has an ONNX file, unless `predict` exports one, which takes 15 seconds."""
    model = tmp_path / "work" / "model" if exports else write_tiny_package(tmp_path / "package")
    if not exports:
        add_onnx(model)
    work, home = tmp_path / "work", tmp_path / "home"
    home.mkdir()
    write_config(work, make_dataset)
    places = {"HOME": home, "XDG_CACHE_HOME": home / ".cache", "XDG_CONFIG_HOME": home / ".config", "TMPDIR": home}
    environment = {name: value for name, value in os.environ.items() if name not in SILENT}
    environment |= {name: str(place) for name, place in places.items()}
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, str(work), str(model)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    statuses = [line for line in done.stdout.splitlines() if " STATUS " in line]
    assert statuses == [f"{name} STATUS 0" for name in ("prepare", "train", "export", "predict", "evaluate")], (
        done.stderr
    )
    assert "CONNECTED TO" not in done.stdout
    left = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    # Matplotlib writes a list of the machine's fonts once; it is not sent anywhere.
    assert [name for name in left if "matplotlib" not in name] == []
