"""Recomputing the activations of blocks saves memory and does not change results."""

import copy

import pytest
import torch
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.recomputation import recompute_in_backward, recomputed_blocks
from seg.models.segmenter import BandNormalization, Segmenter

CONFIGS = {
    "own": ModelConfig(encoder="dilated_tiny", output_stride=4, decoder_channels=(32, 16), dropout=0.5),
    "own with a global context": ModelConfig(encoder="dilated_tiny", context="global", norm="group", dropout=0.5),
    "dilated timm with a boundary": ModelConfig(encoder="tu-test_resnet", dropout=0.5, boundary=True),
    "unet": ModelConfig(architecture="unet", encoder="densenet121"),
    "segformer": ModelConfig(architecture="segformer", encoder="mit_b0"),
}


def filled(config: ModelConfig, recompute: bool) -> Segmenter:
    """A network in training mode; its weights are the same in each call."""
    torch.manual_seed(0)
    model = build_model(config, 3)
    model.normalization.fill([0.0] * 3, [1.0] * 3)
    if recompute:
        recompute_in_backward(model)
    return model.train()


def step(model: Segmenter) -> tuple[Tensor, int]:
    """The loss of a batch, and the bytes of activations that were stored for its backward pass."""
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    image = torch.randn(1, 3, 35, 64)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        heads = model.heads(image)
        loss = heads.cropland.square().mean() + (0 if heads.boundary is None else heads.boundary.square().mean())
    bytes_kept = sum(kept.values())
    loss.backward()
    return loss, bytes_kept


@pytest.mark.parametrize("name", CONFIGS)
def test_loss_gradients_and_statistics_are_the_same_to_the_bit_for_less_memory(name: str) -> None:
    plain, recomputed = filled(CONFIGS[name], False), filled(CONFIGS[name], True)
    for _ in range(2):
        (loss, kept), (same_loss, less_kept) = step(plain), step(recomputed)
        assert torch.equal(loss, same_loss)
    assert less_kept < 0.7 * kept
    wanted = dict(plain.named_parameters())
    for key, parameter in recomputed.named_parameters():
        assert (parameter.grad is None) == (wanted[key].grad is None)
        assert parameter.grad is None or torch.equal(parameter.grad, wanted[key].grad), key
    state = plain.state_dict()
    assert state.keys() == recomputed.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in recomputed.state_dict().items())


def test_statistics_of_frozen_norms_are_used_in_both_passes() -> None:
    models = [filled(CONFIGS["own"], recompute) for recompute in (False, True)]
    for model in models:
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
    (loss, _), (same, _) = (step(model) for model in models)
    assert torch.equal(loss, same)
    gradients = [[parameter.grad for parameter in model.parameters()] for model in models]
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_a_copy_computes_with_its_own_weights() -> None:
    model = filled(CONFIGS["own"], True)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    step(other)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert any(bool(parameter.grad.any()) for parameter in other.parameters())


def test_recomputation_does_not_affect_evaluation() -> None:
    plain, recomputed = filled(CONFIGS["own"], False).eval(), filled(CONFIGS["own"], True).eval()
    image = torch.randn(1, 3, 20, 30)
    assert torch.equal(plain(image), recomputed(image))


def test_a_block_that_changes_its_input_is_refused() -> None:
    class Hasty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 1))

        def forward(self, image: Tensor) -> Tensor:
            return self.layers(image)

    network = nn.Sequential(nn.Conv2d(3, 3, 1), Hasty())
    normalization = BandNormalization(3)
    normalization.fill([0.0] * 3, [1.0] * 3)
    model = Segmenter(normalization, network, 1)
    assert recomputed_blocks(network) == [network[1]]
    recompute_in_backward(model)
    with pytest.raises(ConfigError, match="a Hasty of this network modifies its input"):
        model(torch.randn(1, 3, 4, 4))


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no blocks"):
        recompute_in_backward(Segmenter(BandNormalization(3), nn.Conv2d(3, 1, 1), 1))
