import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

import seg
from seg.errors import PackageError
from seg.models.foreign.converting import reference_probability
from seg.models.foreign.running import Runner
from seg.models.foreign.statements import ClassScores
from seg.package.description import DESCRIPTION, ModelPackage
from seg.package.read import load_model, next_name, read_package
from support.commands import Ran, assert_mistake, run_command
from support.onnx_networks import saved, u_network, use_short_strips
from support.packages import write_tiny_package
from support.scenes import write_scene

SCENE_MEAN, SCENE_STD = 2000.0, 200.0
"""Statistics of the scenes of `write_scene`."""

BANDS = "--bands=[red,green,blue]"
STATISTICS = ["--mean=[2000,2000,2000]", "--std=[200,200,200]"]


@pytest.fixture(autouse=True)
def short_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    use_short_strips(monkeypatch)


def export(network: Path, output: Path, *words: str) -> Ran:
    return run_command("export", f"--onnx-from={network}", BANDS, *STATISTICS, f"--output={output}", *words)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return saved(u_network(bands=3, size=64), tmp_path / "net.onnx")


@pytest.fixture
def theirs(network: Path, tmp_path: Path) -> Path:
    ran = export(network, tmp_path / "theirs", "--class=1", "--pixel-size-m=10")
    assert (ran.status, ran.err) == (0, "")
    assert "stride 2, receptive field 5 pixels, threshold 0.5" in ran.out
    return tmp_path / "theirs"


def _probability_of_the_whole(scene: Path) -> np.ndarray:
    """Probability of class 1 for a whole scene, by the network for images of any size."""
    with rasterio.open(scene) as dataset:
        image = dataset.read()[None].astype(np.float32)
    scores = Runner(u_network(bands=3, size=None)).outputs((image - SCENE_MEAN) / SCENE_STD)[0]
    return reference_probability(scores, ClassScores("scores", 3, (1,), "logits"))[0]


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_map_in_blocks_equals_the_output_of_the_network_for_the_whole_scene(
    theirs: Path, backend: str, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene.tif", 150, 210)
    words = ["--block-size=64", f"--backend={backend}", f"--input={scene}", f"--output={tmp_path / 'map.tif'}"]
    ran = run_command("predict", f"--model={theirs}", *words)
    assert (ran.status, ran.err) == (0, "")
    with rasterio.open(tmp_path / "map_probability.tif") as dataset:
        percent = dataset.read(1).astype(float)
    wanted = _probability_of_the_whole(scene)
    assert wanted.std() > 0.05
    assert np.abs(percent - 100 * wanted).max() <= 0.51  # percents are rounded


def test_load_model_gives_the_probability_of_the_network(theirs: Path, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", 64, 80)
    model = seg.load_model(theirs, threads=1)
    assert (model.band_names, model.pixel_size) == (("red", "green", "blue"), 10)
    with rasterio.open(scene) as dataset:
        np.testing.assert_allclose(model.probability(dataset.read()), _probability_of_the_whole(scene), atol=1e-5)


def test_description_names_the_original_network_and_has_a_format_number_of_its_own(
    network: Path, theirs: Path, tmp_path: Path
) -> None:
    values = json.loads((theirs / DESCRIPTION).read_text())
    assert values["format"] == 4
    assert values["network"] == {
        "file": "net.onnx",
        "sha256": values["network"]["sha256"],
        "classes": 3,
        "cropland": [1],
        "scores": "logits",
        "channels": 8,
    }
    other = tmp_path / "other"
    assert export(network, other, "--class=[0,2]").status == 0
    assert read_package(other).weights_sha256 != read_package(theirs).weights_sha256
    own = write_tiny_package(tmp_path / "own")
    assert json.loads((own / DESCRIPTION).read_text()).keys() >= {"weights_sha256"}
    assert json.loads((own / DESCRIPTION).read_text())["format"] == 3
    (theirs / DESCRIPTION).write_text(json.dumps(values | {"format": 3}))
    with pytest.raises(PackageError, match="format 4 and a network of another program belong together"):
        read_package(theirs)


def test_commands_that_need_the_weights_of_pytorch_are_refused_in_one_line(theirs: Path, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", 40, 48)
    said = "holds net.onnx, an ONNX network of another program"
    with pytest.raises(PackageError, match=said):
        load_model(theirs, read_package(theirs))
    assert_mistake(run_command("describe", f"--model={theirs}"), said)
    assert_mistake(run_command("adapt", f"--model={theirs}", f"--input={scene}", f"--output={tmp_path / 'x'}"), said)
    assert_mistake(run_command("export", f"--output={theirs}", "--onnx"), "leave --onnx out")
    predict = ["predict", f"--model={theirs}", f"--input={scene}", f"--output={tmp_path / 'map.tif'}"]
    assert_mistake(run_command(*predict, "--backend=torch"), "leave --backend, --device and --precision out")
    assert_mistake(run_command(*predict, "--interior"), "leave --interior out")
    assert_mistake(run_command(*predict, "--features"), "gives no features")


def test_package_replaces_all_files_of_a_package_of_the_other_kind(network: Path, tmp_path: Path) -> None:
    folder = write_tiny_package(tmp_path / "model")
    assert export(network, folder, "--class=1").status == 0
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, "model.onnx"]
    write_tiny_package(folder)
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, "model.safetensors"]


def test_export_killed_before_its_last_rename_leaves_a_readable_package(theirs: Path) -> None:
    (theirs / "model.onnx").rename(theirs / next_name("model.onnx"))
    package: ModelPackage = read_package(theirs)
    assert package.network is not None
    assert seg.load_model(theirs, threads=1).threshold == 0.5


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], ["no network was named", "--checkpoint=FILE"]),
        (["--qgis"], ["model.json", "no such file"]),
        (["--class=1"], ["--class describes a network of another program"]),
        (["--onnx-from=net.onnx"], ["--onnx-from needs --bands"]),
        (["--onnx-from=net.onnx", BANDS, "--mean=[1,2]", "--std=[1,1,1]"], ["--bands has 3, --mean 2 and --std 3"]),
        (["--onnx-from=net.onnx", "--bands=[1,1,2]", *STATISTICS], ["--bands is [1, 1, 2]", "different"]),
        (["--onnx-from=net.onnx", BANDS, "--mean=[1,2,3]", "--std=[1,0,1]"], ["--std is [1.0, 0.0, 1.0]"]),
        (
            ["--onnx-from=net.onnx", BANDS, *STATISTICS],
            ["net.onnx", "--class is not given; wanted one or several of 0"],
        ),
        (["--onnx-from=net.onnx", BANDS, *STATISTICS, "--class=1", "--threshold=f1"], ["--threshold is f1"]),
        (["--onnx-from=net.onnx", BANDS, *STATISTICS, "--checkpoint=x.ckpt"], ["leave one out"]),
        (["--onnx-from=net.onnx", BANDS, *STATISTICS, "--data=d"], ["add --checkpoint"]),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    network: Path, words: list[str], named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(network.parent)
    assert_mistake(run_command("export", "--output=new", *words), *named)
    assert not Path("new").exists()


@pytest.mark.campaign
def test_map_by_the_onnx_file_of_a_unet_equals_the_output_of_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import segmentation_models_pytorch as smp

    monkeypatch.undo()  # The receptive field of this network needs strips of full length.
    torch.manual_seed(0)
    network = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=3).train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.randn(2, 3, 128, 128))
    path = tmp_path / "unet.onnx"
    torch.onnx.export(network.eval(), (torch.randn(1, 3, 512, 512),), path, dynamo=True, verbose=False)
    assert export(path, tmp_path / "theirs", "--class=1").status == 0
    scene = write_scene(tmp_path / "scene.tif", 640, 768)
    words = ["--block-size=256", "--halo=receptive-field", f"--input={scene}", f"--output={tmp_path / 'map.tif'}"]
    assert run_command("predict", f"--model={tmp_path / 'theirs'}", *words).status == 0
    with rasterio.open(scene) as dataset, rasterio.open(tmp_path / "map_probability.tif") as written:
        image = torch.from_numpy(dataset.read().astype(np.float32))[None]
        percent = written.read(1)
    with torch.inference_mode():
        wanted = network((image - SCENE_MEAN) / SCENE_STD).softmax(1)[0, 1].numpy()
    assert np.abs(percent - 100 * wanted).max() <= 0.51
