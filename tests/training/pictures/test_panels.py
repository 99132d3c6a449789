from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.training.pictures.panels import (
    PanelConfig,
    PredictionPanels,
    file_stem,
    spread,
    thinned,
)
from support.training import quiet_trainer


class BrightIsCropland(L.LightningModule):
    """Network that returns the first band as logit, and records for each call if gradients are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.asked: list[bool] = []

    def forward(self, image: Tensor) -> Tensor:
        self.asked.append(torch.is_grad_enabled())
        return image[:, :1] * self.weight

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return self.weight.sum()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def samples(count: int, side: int = 20) -> list[dict[str, object]]:
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.normal(size=(count, 3, side, side)).astype(np.float32))
    mask = (image[:, 0] > 0).to(torch.uint8)
    return [{"image": image[i], "mask": mask[i], "name": f"area {i}/scene:{i}.tif"} for i in range(count)]


def fit(folder: Path, config: PanelConfig, batch_size: int = 1, **options: object) -> BrightIsCropland:
    task, data = BrightIsCropland(), samples(6)
    trainer = quiet_trainer([PredictionPanels(config)], default_root_dir=folder, num_sanity_val_steps=2, **options)
    trainer.fit(task, DataLoader(data[:1]), DataLoader(data, batch_size=batch_size))
    return task


def drawn(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder / "panels").as_posix() for path in folder.rglob("*.png"))


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_drawn_scenes_do_not_depend_on_the_batch_size(tmp_path: Path, batch_size: int) -> None:
    task = fit(tmp_path, PanelConfig(scenes=2), batch_size, max_epochs=1)
    assert drawn(tmp_path) == ["01_scene_0/epoch_0001.png", "02_scene_3/epoch_0001.png"]
    assert task.asked == [False, False]


def test_epochs_at_the_interval_and_the_last_epoch_are_drawn(tmp_path: Path) -> None:
    fit(tmp_path, PanelConfig(scenes=1, every_epochs=2), max_epochs=5)
    assert drawn(tmp_path) == [f"01_scene_0/epoch_000{epoch}.png" for epoch in (2, 4, 5)]


def test_only_the_last_epoch_is_drawn_if_max_steps_ends_the_training(tmp_path: Path) -> None:
    fit(tmp_path, PanelConfig(scenes=1, every_epochs=0), max_epochs=-1, max_steps=3)
    assert drawn(tmp_path) == ["01_scene_0/epoch_0003.png"]


def test_nothing_is_drawn_in_a_trial_run(tmp_path: Path) -> None:
    fit(tmp_path, PanelConfig(), max_epochs=1, fast_dev_run=True)
    assert drawn(tmp_path) == []


def test_a_large_scene_is_drawn_smaller(tmp_path: Path) -> None:
    sizes = []
    for longest in (16, 512):
        fit(tmp_path / str(longest), PanelConfig(scenes=1, longest_side=longest), max_epochs=1)
        [path] = (tmp_path / str(longest)).rglob("*.png")
        sizes.append(np.asarray(Image.open(path)).shape)
    assert thinned(20, 16) == 2
    assert sizes[0] == sizes[1]  # 10 and 20 pixels are both magnified to about the same size


def test_a_limited_validation_still_draws_its_scenes(tmp_path: Path) -> None:
    fit(tmp_path, PanelConfig(scenes=2), max_epochs=1, limit_val_batches=4)
    assert [name.split("/")[0] for name in drawn(tmp_path)] == ["01_scene_0", "02_scene_2"]


def test_indexes_are_spread_and_never_more_than_the_samples() -> None:
    assert spread(10, 3) == [0, 3, 6]
    assert spread(2, 5) == [0, 1]
    assert spread(0, 5) == []


def test_names_are_safe_for_any_file_system() -> None:
    assert file_stem('a/b: "c".tif') == "b_c_"
    assert file_stem("") == "scene"


@pytest.mark.parametrize("field", ["scenes", "every_epochs", "longest_side"])
def test_a_negative_number_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"panels.{field} is -1"):
        PanelConfig(**{field: -1})
