"""All warm-ups together, set up in code and from a configuration."""

from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml

from seg.losses.config import LossConfig
from seg.training.callbacks import CALLBACK_KEYS
from seg.training.cli import main
from support.commands import assert_mistake, run_command
from support.networks import STAGED_NETWORK
from support.training import quiet_trainer, write_config
from support.warm_runs import SceneModule, Steps, new_task, run_and_resume

TOGETHER: dict[str, dict[str, object]] = {
    "warmup": {"epochs": 2.5, "shape": "cosine"},
    "warmup_batch": {"epochs": 3, "learning_rate": "sqrt"},
    "warmup_layers": {"frozen_epochs": 1},
    "warmup_data": {"share": 0.4, "epochs": 3, "by": "size"},
    "warmup_loss": {"epochs": 3.0},
    "batch_norm": {"after": 0.75},
}


def all_warm_ups() -> list[L.Callback]:
    return [callback(**TOGETHER[key]) for key, callback in CALLBACK_KEYS.items()]


def test_all_warm_ups_together_resume_to_the_same_weights(tmp_path: Path) -> None:
    runs = run_and_resume(tmp_path, all_warm_ups, lambda: new_task(LossConfig(lovasz=1.0)), accumulate_grad_batches=3)
    runs.assert_alike()
    assert runs.whole_steps.batches == [3, 5, 6, 7]
    assert runs.whole_steps.lengths == [1] * 3 + [1] * 5 + [2] * 3 + [3, 3, 1]
    assert runs.whole.total_steps == runs.resumed.total_steps == len(runs.whole_steps.lengths)


def test_by_default_warm_ups_change_nothing() -> None:
    weights, steps = [], []
    for callbacks in (
        [],
        [callback(**({"steps": 0} if key == "warmup" else {})) for key, callback in CALLBACK_KEYS.items()],
    ):
        task, noted = new_task(), Steps()
        trainer = quiet_trainer([*callbacks, noted], accumulate_grad_batches=3)
        trainer.fit(task, datamodule=SceneModule())
        weights.append(task.state_dict())
        steps.append((noted.lengths, noted.rates, noted.batches))
    assert steps[0] == steps[1]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_configuration_sets_warm_ups_and_a_checkpoint_holds_their_state(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    path = write_config(tmp_path, make_dataset)
    content = yaml.safe_load(path.read_text()) | {key: dict(value) for key, value in TOGETHER.items()}
    content["trainer"] |= {"max_epochs": 4, "accumulate_grad_batches": 2}
    content["model"] = {"model": STAGED_NETWORK.arguments()}
    path.write_text(yaml.safe_dump(content))
    run = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert main(["fit", f"--config={path}"]) == 0
    saved = torch.load(run, weights_only=True)
    assert saved["callbacks"]["WarmupBatch"]["length"] == 2
    assert saved["callbacks"]["WarmupData"]["ranking"]
    assert saved["callbacks"]["WarmupLoss"] == {"progress": 1.0}
    assert saved["callbacks"]["WarmupLayers"] == {"frozen": 2}
    assert saved["callbacks"]["WarmupLearningRate"]["epoch"] > 3


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--warmup_batch.final=3", "warmup_batch has final=3"),
        ("--warmup_data.share=0.5", "warmup_data has share=0.5"),
        ("--warmup_layers.frozen_epochs=-1", "warmup_layers has frozen_epochs=-1"),
        ("--warmup_loss.steps=-1", "warmup_loss has steps=-1"),
        ("--model.accumulation=pixels", "accumulation"),
    ],
)
def test_a_mistake_on_the_command_line_is_reported_in_one_line(
    argument: str, message: str, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    assert_mistake(run_command("train fit", f"--config={write_config(tmp_path, make_dataset)}", argument), message)
