import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from seg.errors import ConfigError, PackageError
from seg.files import sha256
from seg.inference.compute import choose_backend, torch_backend
from seg.inference.compute.choose_backend import open_backend
from seg.inference.compute.onnx_backend import OnnxBackend
from seg.inference.compute.onnx_network import thread_count
from seg.inference.compute.openvino_backend import OpenVinoBackend
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.settings import ComputeSettings, Library
from seg.package import write
from seg.package.description import DESCRIPTION, ONNX
from seg.package.read import read_package
from seg.package.write import add_onnx
from support.project import ROOT


@pytest.fixture(scope="module")
def exported(with_boundary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a boundary head, and its ONNX file."""
    folder = Path(shutil.copytree(with_boundary, tmp_path_factory.mktemp("models") / "exported"))
    add_onnx(folder)
    return folder


@pytest.fixture
def model(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package with its ONNX file, on a machine without a GPU and with separate caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(choose_backend, "may_have_gpu", lambda: False)
    return Path(shutil.copytree(exported, tmp_path / "model"))


@pytest.fixture
def exports(model: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The ONNX files that a test exports; the export is replaced by copying a file."""
    made: list[Path] = []

    def copied(folder: Path, path: Path | None = None) -> Path:
        made.append(path or folder / ONNX)
        return Path(shutil.copy(exported / ONNX, made[-1]))

    monkeypatch.setattr(write, "add_onnx", copied)
    return made


Backend = type[OnnxBackend] | type[OpenVinoBackend]
each_backend = pytest.mark.parametrize("backend", [OnnxBackend, OpenVinoBackend])

ON_CPU = {"onnx": "onnx cpu 32", "openvino": f"openvino cpu 32 threads {thread_count(0)}"}
ONE = ComputeSettings(threads=1)
CPU = ComputeSettings(device="cpu")


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, 20, 30)).astype(np.float32)


@each_backend
@pytest.mark.parametrize("interior", [False, True])
def test_each_backend_gives_the_probability_of_pytorch(model: Path, backend: Backend, interior: bool) -> None:
    package = replace(read_package(model), temperature=2.5, bias=-0.8)
    found = backend(model, package, ONE, interior).start(image())()
    np.testing.assert_allclose(found, TorchBackend(model, package, CPU, interior).start(image())(), atol=1e-5)
    assert found.dtype == np.float32
    assert found.std() > 1e-3


@each_backend
def test_extreme_logits_are_certain_and_raise_no_warning(model: Path, backend: Backend) -> None:
    for bias, wanted in ((-1e4, 0.0), (1e4, 1.0)):
        found = backend(model, replace(read_package(model), bias=bias), ONE).start(image())()
        assert set(found.ravel().tolist()) == {wanted}


def test_the_number_of_threads_does_not_change_the_result(model: Path) -> None:
    package = read_package(model)
    one, three = (OnnxBackend(model, package, ComputeSettings(threads=n)).start(image())() for n in (1, 3))
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_missing_onnx_file_is_exported_once(
    model: Path, exports: list[Path], caplog: pytest.LogCaptureFixture, name: Library
) -> None:
    caplog.set_level("INFO", "seg")
    (model / ONNX).unlink()
    for _ in range(2):
        backend = open_backend(model, read_package(model), ComputeSettings(backend=name))
        assert backend.name == ON_CPU[name]
    assert exports == [model / ONNX]
    assert "model.onnx: exporting the network; this takes" in caplog.text


@pytest.mark.parametrize(
    ("driver", "built_for_it", "installed", "chosen"),
    [
        (True, True, ["torch", "openvino"], "torch cpu 32"),  # on the CPU, since this machine has no GPU
        (True, False, ["torch", "openvino"], ON_CPU["openvino"]),
        (True, True, ["openvino"], ON_CPU["openvino"]),
        (False, True, ["torch", "openvino"], ON_CPU["openvino"]),
        (False, True, ["torch"], ON_CPU["onnx"]),
    ],
)
def test_pytorch_computes_only_if_it_can_use_a_gpu(
    model: Path, monkeypatch: pytest.MonkeyPatch, driver: bool, built_for_it: bool, installed: list[str], chosen: str
) -> None:
    monkeypatch.setattr(choose_backend, "may_have_gpu", lambda: driver)
    monkeypatch.setattr(choose_backend, "find_spec", lambda name: object() if name in installed else None)
    monkeypatch.setattr(torch_backend, "has_accelerator", lambda: built_for_it)
    assert open_backend(model, read_package(model), ComputeSettings()).name == chosen
    on_cpu = ON_CPU["openvino"] if "openvino" in installed else ON_CPU["onnx"]
    assert open_backend(model, read_package(model), ComputeSettings(device="cpu")).name == on_cpu
    assert open_backend(model, read_package(model), ComputeSettings(backend="onnx")).name == ON_CPU["onnx"]


def test_a_missing_library_is_an_error_with_advice(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_backend, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="PyTorch is not installed; add --backend=onnx"):
        open_backend(model, read_package(model), ComputeSettings(backend="torch"))
    with pytest.raises(ConfigError, match="OpenVINO is not installed; pip install openvino"):
        open_backend(model, read_package(model), ComputeSettings(backend="openvino"))


@each_backend
def test_images_of_all_sizes_follow_each_other(model: Path, backend: Backend) -> None:
    package = read_package(model)
    computing, torch = backend(model, package, ONE), TorchBackend(model, package, CPU)
    for height, width in ((20, 30), (64, 8), (2, 2), (20, 30)):
        pixels = np.random.default_rng(height).normal(size=(2, height, width)).astype(np.float32)
        np.testing.assert_allclose(computing.start(pixels)(), torch.start(pixels)(), atol=1e-5)


@each_backend
def test_the_next_image_does_not_change_a_probability(model: Path, backend: Backend) -> None:
    for interior in (False, True):
        computing = backend(model, read_package(model), ONE, interior)
        first = computing.start(image())()
        before = first.copy()
        computing.start(image(1))()
        np.testing.assert_array_equal(first, before)


@each_backend
def test_a_truncated_onnx_file_is_exported_again(model: Path, exports: list[Path], backend: Backend) -> None:
    (model / ONNX).write_bytes((model / ONNX).read_bytes()[:100])
    backend(model, read_package(model))
    assert exports == [model / ONNX]


@each_backend
def test_an_onnx_file_of_other_weights_is_never_used(model: Path, exports: list[Path], backend: Backend) -> None:
    package = replace(read_package(model), weights_sha256="0" * 64)
    with pytest.raises(PackageError, match="cannot use this newly written file"):
        backend(model, package)
    assert exports == [model / ONNX]


def test_the_onnx_file_of_a_read_only_package_is_cached(
    model: Path, exports: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / ONNX).unlink()
    monkeypatch.setattr("os.access", lambda path, mode: path != model)
    for _ in range(2):
        OnnxBackend(model, read_package(model))
    [made] = exports
    [kept] = (tmp_path / "caches" / "cropland-seg").iterdir()
    assert made.parent == kept.parent
    assert kept.name == f"{read_package(model).weights_sha256}-{sha256(kept)}.onnx"


def test_a_damaged_onnx_file_in_the_cache_is_exported_again(
    model: Path, exports: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / ONNX).unlink()
    monkeypatch.setattr("os.access", lambda path, mode: path != model)
    OnnxBackend(model, read_package(model))
    [kept] = (tmp_path / "caches" / "cropland-seg").iterdir()
    good = kept.read_bytes()
    kept.write_bytes(good[:-100] + bytes(100))
    OnnxBackend(model, read_package(model))
    assert (len(exports), kept.read_bytes() == good) == (2, True)


@each_backend
def test_an_onnx_file_with_a_flipped_bit_is_exported_again(
    model: Path, exports: list[Path], caplog: pytest.LogCaptureFixture, backend: Backend
) -> None:
    good = (model / ONNX).read_bytes()
    damaged = bytearray(good)
    damaged[len(damaged) // 2] ^= 1
    (model / ONNX).write_bytes(damaged)
    backend(model, read_package(model))
    assert exports == [model / ONNX]
    assert (model / ONNX).read_bytes() == good
    assert "model.onnx: damaged" in caplog.text


def test_a_package_without_the_hash_of_its_onnx_file_gets_a_new_file_and_its_hash(model: Path) -> None:
    path = model / DESCRIPTION
    description = json.loads(path.read_text())
    del description["onnx_sha256"]
    path.write_text(json.dumps(description))
    OnnxBackend(model, read_package(model))
    assert read_package(model).onnx_sha256 == sha256(model / ONNX)


def test_if_the_export_fails_pytorch_computes_with_a_note(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (model / ONNX).unlink()

    def refuse(folder: Path) -> Path:
        raise PackageError(f"{folder}: no such network; leave --onnx out") from ConfigError("it takes one size alone")

    monkeypatch.setattr(write, "add_onnx", refuse)
    assert open_backend(model, read_package(model), ComputeSettings()).name == "torch cpu 32"
    assert caplog.messages == ["computing with PyTorch instead of OpenVINO: it takes one size alone"]
    with pytest.raises(PackageError, match="it takes one size alone; add --backend=torch"):
        open_backend(model, read_package(model), ComputeSettings(backend="onnx"))


def test_without_pytorch_a_missing_onnx_file_is_an_error_with_advice(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / ONNX).unlink()
    monkeypatch.setitem(sys.modules, "seg.package.write", None)
    with pytest.raises(PackageError, match=r"has no model\.onnx .* scripts/export\.py --onnx"):
        OnnxBackend(model, read_package(model))


def test_two_exports_of_one_onnx_file_at_the_same_time_take_turns(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[Path] = []
    together = []

    def slow(network: object, bands: int, path: Path, metadata: object) -> None:
        at_work.append(path)
        together.append(len(at_work))
        time.sleep(0.1)
        path.write_bytes(b"onnx")
        at_work.remove(path)

    monkeypatch.setattr("seg.models.onnx_export.export_onnx", slow)
    threads = [Thread(target=add_onnx, args=(model,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1, 1]
    assert sorted(path.name for path in model.iterdir()) == ["model.json", ONNX, "model.safetensors"]


@pytest.mark.parametrize("backend", [pytest.param(OnnxBackend, marks=pytest.mark.campaign), OpenVinoBackend])
def test_models_share_memory(model: Path, backend: Backend) -> None:
    pytest.importorskip("resource")
    # The models are opened in a separate process, since the test measures the peak memory of that process.
    program = f"""
import resource, numpy
from pathlib import Path
from {backend.__module__} import {backend.__name__} as Backend
from seg.inference.settings import ComputeSettings
from seg.package.read import read_package
folder = Path({str(model)!r})
backends = [Backend(folder, read_package(folder), ComputeSettings(threads=1)) for _ in range(2)]
peaks = []
for backend in backends:
    backend.start(numpy.zeros((2, 1024, 1024), numpy.float32))()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] / peaks[0])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.05


def test_predicting_on_the_cpu_imports_no_training_library(
    model: Path, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    scene, output = make_scene(40, 50, bands=2), tmp_path / "map.tif"
    program = f"""
import runpy, sys
sys.argv = ["predict.py", "--model={model}", "--input={scene}", "--output={output}", "--device=cpu"]
try:
    runpy.run_path({str(ROOT / "scripts" / "predict.py")!r}, run_name="__main__")
except SystemExit as stopped:
    assert stopped.code == 0, stopped.code
heavy = ["torch", "lightning", "albumentations", "timm", "segmentation_models_pytorch", "torchmetrics"]
heavy += ["rich", "matplotlib", "pyproj", "scipy"]
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert output.exists()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"threads": -1}, "threads is -1; wanted 0 to 1,024"),
        ({"threads": 10**20}, f"threads is {10**20}; wanted 0 to 1,024"),
        ({"backend": "onnx", "device": "cuda"}, "device is cuda, but ONNX Runtime computes on the CPU"),
        ({"backend": "openvino", "device": "mps"}, "device is mps, but OpenVINO computes on the CPU"),
        ({"backend": "onnx", "precision": "16"}, "precision is 16, which is for CUDA devices"),
        ({"device": "cpu", "precision": "bf16"}, "precision is bf16, which is for CUDA devices"),
    ],
)
def test_contradictory_settings_are_refused(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ComputeSettings(**chosen)


def test_half_precision_is_refused_without_a_cuda_device(model: Path) -> None:
    with pytest.raises(ConfigError, match="precision is 16, but the device cpu computes in 32"):
        TorchBackend(model, read_package(model), ComputeSettings(device="auto", precision="16"))


@each_backend
def test_features_are_those_of_pytorch(model: Path, backend: Backend) -> None:
    package = read_package(model)
    computing, torch = backend(model, package, ONE), TorchBackend(model, package, CPU)
    assert computing.has_features
    assert torch.has_features
    np.testing.assert_allclose(computing.features(image()), torch.features(image()), atol=1e-4)


@each_backend
def test_an_onnx_file_without_features_still_maps(model: Path, backend: Backend) -> None:
    import onnx

    path = model / ONNX
    content = onnx.load(path)
    del content.graph.output[[output.name for output in content.graph.output].index("features")]
    onnx.save(content, path)
    description = json.loads((model / DESCRIPTION).read_text()) | {"onnx_sha256": sha256(path)}
    (model / DESCRIPTION).write_text(json.dumps(description))
    computing = backend(model, read_package(model), ONE)
    assert not computing.has_features
    assert computing.start(image())().shape == image().shape[1:]
