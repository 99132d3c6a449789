"""Training from the command line with a Parquet manifest, bands by name and custom label values."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import rasterio
import torch
import yaml

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.package.checkpoint import read_checkpoint
from seg.training.cli import main
from support.commands import assert_mistake, run_command
from support.training import write_config

STORED = {OTHER: 7, CROPLAND: 4, IGNORE: 0}
LABELS = ["--data.labels.cropland=[4,5]", "--data.labels.ignore=[0,255]", "--data.labels.other=[7]"]
NAMES = ("Blue", "Red", "NIR")


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """Configuration for the tiny dataset with mask values 0, 4 and 7, named bands and a Parquet manifest."""
    path = write_config(tmp_path, make_dataset)
    images = sorted((tmp_path / "data" / "images").iterdir())
    for image in images:
        with rasterio.open(image, "r+") as dataset:
            dataset.descriptions = NAMES
        with rasterio.open(tmp_path / "data" / "masks" / image.name, "r+") as dataset:
            classes = dataset.read(1)
            dataset.write(np.choose(np.searchsorted(list(STORED), classes), list(STORED.values())), 1)
    table = {
        "image": [f"images/{image.name}" for image in images],
        "mask": [f"masks/{image.name}" for image in images],
        "split": ["val", "train", "train", "train", "test"],
        "weight": [1.0, 2.0, 0.5, None, 1.0],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "data" / "manifest.parquet")
    return path


def test_manifest_names_and_mapping_train_and_score(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bands = "--data.bands=[nir,red]"
    assert main(["fit", f"--config={config}", *LABELS, bands]) == 0
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    held = read_checkpoint(best).data
    assert (held["bands"], held["band_names"], held["image_bands"]) == ([3, 2], ["NIR", "Red"], 3)
    kept = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]
    assert kept["bands"] == ["nir", "red"]
    assert kept["labels"] == {"cropland": [4, 5], "ignore": [0, 255], "other": [7]}
    capsys.readouterr()
    tables = []
    root = f"--data.root={tmp_path / 'data'}"
    for words in ([f"--config={tmp_path / 'run' / 'config.yaml'}"], [root, *LABELS], [root]):
        assert main(["validate", *words, f"--ckpt_path={best}"]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] == tables[2]


def test_given_labels_override_the_labels_of_the_checkpoint(
    config: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    assert main(["fit", f"--config={config}", *LABELS]) == 0
    words = ["validate", f"--ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}"]
    plain = f"--data.root={make_dataset(tmp_path / 'plain')}"
    assert_mistake(
        run_command("train", *words, plain), "holds the values 1, wanted the values of labels (cropland [4, 5]"
    )
    # An explicit default overrides the checkpoint.
    assert main([*words, plain, "--data.labels.cropland=[1]"]) == 0
    file = tmp_path / "plain.yaml"
    file.write_text(yaml.safe_dump({"data": {"labels": {"cropland": [1]}}}))
    assert main([*words, plain, f"--config={file}"]) == 0


def test_a_checkpoint_without_labels_uses_the_default_labels(
    tmp_path: Path, make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--config={write_config(tmp_path, make_dataset)}"]) == 0
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    assert content["CroplandDataModule"].pop("labels") == {"cropland": [1], "ignore": [255], "other": None}
    torch.save(content, tmp_path / "old.ckpt")
    tables = []
    for checkpoint in (best, tmp_path / "old.ckpt"):
        capsys.readouterr()
        assert main(["validate", f"--data.root={tmp_path / 'data'}", f"--ckpt_path={checkpoint}"]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]


def test_options_of_mixing_need_chips_and_are_kept_in_the_configuration(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    words = ["fit", f"--config={write_config(tmp_path, make_dataset)}", "--data.mixing.mosaic=0.5"]
    assert_mistake(run_command("train", *words), "data.mixing is above 0, but whole scenes differ in size")
    words += ["--data.chips.size=16", "--data.chips.per_epoch=4", "--data.mixing.cut_mix=0.5"]
    assert main(words) == 0
    kept = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]
    assert kept["mixing"] == {"cut_mix": 0.5, "mosaic": 0.5}


def test_mapped_labels_give_the_same_scores_as_recoded_masks(
    config: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    plain = make_dataset(tmp_path / "plain")
    (plain / "manifest.parquet").write_bytes((tmp_path / "data" / "manifest.parquet").read_bytes())
    scores = []
    for name, words in (("mapped", LABELS), ("recoded", [f"--data.root={plain}"])):
        run = tmp_path / name
        assert main(["fit", f"--config={config}", f"--trainer.default_root_dir={run}", *words]) == 0
        scores.append(read_checkpoint(run / "checkpoints" / "last.ckpt").metrics)
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "holds the values 4, 7, wanted 0 (other), 1 (cropland) or 255"),
        (["--data.labels.cropland=[4]"], "holds the values 7, wanted the values of labels (cropland [4], other [0],"),
        (["--data.labels.cropland=[4]", "--data.labels.other=some"], "--data.labels.other is 'some'; wanted"),
        (["--data.labels.cropland=4"], "--data.labels.cropland is '4'; wanted a list like [1,2]"),
        (["--data.labels.cropland=[]"], "labels.cropland is empty"),
        (["--data.labels.cropland=[4,255]"], "labels names 255 twice"),
        ([*LABELS, "--data.bands=[nir,swir]"], "has no band named 'swir'; its bands are Blue, Red, NIR"),
        ([*LABELS, "--data.bands=nir"], "--data.bands is 'nir'; wanted a list like"),
        ([*LABELS, "--data.bands=[1.5]"], "no band named '"),
        ([*LABELS, "--data.bands=[nir,9]"], "has 3 bands, but band 9 is wanted"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_status_2(config: Path, words: list[str], problem: str) -> None:
    assert_mistake(run_command("train fit", f"--config={config}", *words), problem)
