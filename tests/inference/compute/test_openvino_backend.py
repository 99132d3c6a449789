import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seg.inference.compute.openvino_backend import COMPILED, OpenVinoBackend, _core
from seg.inference.settings import ComputeSettings
from seg.package.description import ONNX
from seg.package.read import read_package
from support.project import ROOT

IMAGE = np.random.default_rng(0).normal(2000, 500, size=(3, 40, 24)).astype(np.float32)


@pytest.fixture
def model(onnx_package: Path, tmp_path: Path) -> Path:
    """A copy of a package with its ONNX file."""
    copied = Path(shutil.copytree(onnx_package, tmp_path / "model"))
    (copied / ONNX).with_suffix(COMPILED).unlink(missing_ok=True)
    return copied


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The networks compiled in a test."""
    found: list[object] = []
    core = _core()

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(core, name)

        def compile_model(self, network: object, *arguments: object) -> object:
            found.append(network)
            return core.compile_model(network, *arguments)

    monkeypatch.setattr("seg.inference.compute.openvino_backend._core", Counting)
    return found


def probability(model: Path, threads: int = 1) -> np.ndarray:
    return OpenVinoBackend(model, read_package(model), ComputeSettings(threads=threads)).start(IMAGE)()


def test_a_network_is_compiled_once_and_gives_the_same_bits_from_its_file(
    model: Path, compilations: list[object]
) -> None:
    first, second = probability(model), probability(model)
    assert len(compilations) == 1
    np.testing.assert_array_equal(first, second)
    assert sorted(path.name for path in model.iterdir()) == [
        "model.json",
        "model.onnx",
        "model.openvino",
        "model.safetensors",
    ]


@pytest.mark.parametrize("place", [0, 40, 1000, -1000, -1])
def test_a_flipped_bit_of_the_compiled_network_never_reaches_a_map(
    model: Path, compilations: list[object], place: int
) -> None:
    wanted, kept = probability(model), (model / ONNX).with_suffix(COMPILED)
    damaged = bytearray(kept.read_bytes())
    damaged[place] ^= 1
    kept.write_bytes(damaged)
    np.testing.assert_array_equal(probability(model), wanted)
    assert len(compilations) == 2
    np.testing.assert_array_equal(probability(model), wanted)
    assert len(compilations) == 2


@pytest.mark.parametrize("content", [b"", b"x" * 31])
def test_a_torn_compiled_network_is_made_again(model: Path, compilations: list[object], content: bytes) -> None:
    (model / ONNX).with_suffix(COMPILED).write_bytes(content)
    probability(model)
    assert len(compilations) == 1


def test_a_compiled_network_of_another_machine_is_made_again(
    model: Path, compilations: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    probability(model)
    monkeypatch.setattr("seg.inference.compute.openvino_backend._machine", lambda core: "another processor")
    probability(model)
    assert len(compilations) == 2


def test_a_read_only_package_is_compiled_each_time(
    model: Path, compilations: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("seg.inference.compute.openvino_backend.complete_or_absent", refuse)
    np.testing.assert_array_equal(probability(model), probability(model))
    assert len(compilations) == 2


def test_the_given_number_of_threads_is_used_and_is_part_of_the_name(model: Path) -> None:
    for threads in (1, 2):
        backend = OpenVinoBackend(model, read_package(model), ComputeSettings(threads=threads))
        assert backend.network.get_property("INFERENCE_NUM_THREADS") == threads
        assert backend.name == f"openvino cpu 32 threads {threads}"
        np.testing.assert_allclose(backend.start(IMAGE)(), probability(model), atol=1e-5)


def test_openvino_sends_and_keeps_nothing(tmp_path: Path) -> None:
    # OpenVINO's import would also import its telemetry, which writes to the home folder and connects to a server.
    program = """
import socket, sys
def refuse(self, address, *_):
    print("CONNECTED TO", address)
    raise OSError
socket.socket.connect = socket.socket.connect_ex = refuse
from seg.inference.compute.openvino_backend import _core
_core()
print("openvino_telemetry" in sys.modules)
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert list(home.iterdir()) == []
