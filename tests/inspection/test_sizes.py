from pathlib import Path

import pytest
import torch

from seg.errors import PackageError
from seg.inspection.sizes import checkpoint_size, first_checkpoint_size, weights_size
from seg.inspection.subject import Subject
from seg.models.build import build_model
from seg.models.config import ModelConfig


@pytest.fixture(params=[False, True], ids=["plain", "boundary"])
def subject(request: pytest.FixtureRequest) -> Subject:
    config = ModelConfig(
        encoder="dilated_tiny", output_stride=2, pyramid_rates=(1,), decoder_channels=(8,), boundary=request.param
    )
    return Subject(Path("x.yaml"), config, 2, build_model(config, 2))


def test_adamw_keeps_two_values_for_each_trained_weight(subject: Subject) -> None:
    parameters = sum(weight.numel() * 4 for weight in subject.model.parameters())
    size = first_checkpoint_size(subject)
    assert 2 * parameters <= size.optimizer <= 2.01 * parameters
    assert parameters <= size.weights <= 1.05 * parameters
    assert size.averaged == 0
    assert size.total == size.weights + size.optimizer + size.rest
    assert size.rest > 0


def test_the_weights_file_is_little_larger_than_its_numbers(subject: Subject) -> None:
    numbers = sum(tensor.numel() * tensor.element_size() for tensor in subject.model.state_dict().values())
    assert numbers < weights_size(subject) < 1.05 * numbers


def test_averaged_weights_are_counted_separately(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    weights = {f"model.{name}": tensor for name, tensor in subject.model.state_dict().items()}
    numbers = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    states = [{"state": {0: {"exp_avg": torch.zeros(1000)}}}]
    torch.save({"state_dict": weights, "current_model_state": weights, "optimizer_states": states}, path)
    size = checkpoint_size(path, subject)
    assert (size.weights, size.averaged, size.optimizer) == (numbers, numbers, 4000)
    assert size.total == path.stat().st_size


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 1}, "has no state_dict"),
        ({"state_dict": {}}, "not a checkpoint of the network of x.yaml"),
        ({"state_dict": {"model.network.head.weight": torch.zeros(7)}}, "not a checkpoint of the network of x.yaml"),
    ],
)
def test_a_file_that_is_not_a_checkpoint_is_refused(
    content: dict[str, object], words: str, subject: Subject, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(PackageError, match=words):
        checkpoint_size(tmp_path / "x.ckpt", subject)
