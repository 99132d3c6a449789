import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig

State = dict[str, Tensor]
Save = Callable[..., str]

OWN = ModelConfig(encoder="dilated_tiny", output_stride=2, pyramid_rates=(1,), decoder_channels=(8,))
SMP = ModelConfig(encoder="resnet18", pyramid_channels=8, decoder_channels=(8, 8, 8))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Function `save(content, name="weights.pth")` that returns the path; the suffix sets the format."""

    def write(content: object, name: str = "weights.pth") -> str:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(content, path)
        else:
            torch.save(content, path)
        return str(path)

    return write


def encoder_state(config: ModelConfig, bands: int) -> State:
    network = build_model(config, bands).network
    if config.architecture != "dilated":
        return network.encoder.state_dict()
    return getattr(network.backbone, "encoder", network.backbone).state_dict()


def shuffled(module: nn.Module) -> nn.Module:
    """Change all weights of a module, so that the test notices if a weight is not read from the file."""
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module


def shuffled_state(config: ModelConfig, bands: int) -> State:
    model = shuffled(build_model(config, bands))
    return getattr(model.network.backbone, "encoder", model.network.backbone).state_dict()


def same(found: State, wanted: State) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def refusal(config: ModelConfig, bands: int = 3) -> str:
    """The error if weights are rejected; checks that it is one line that names the argument and the source."""
    with pytest.raises(ConfigError) as error:
        build_model(config, bands)
    message = str(error.value)
    assert message.startswith(f"model.model.encoder_weights is '{config.encoder_weights}', ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("encoder", ["tiny", "smp", "own"])
def test_a_file_of_encoder_weights_gives_exactly_these_weights(
    tiny: ModelConfig, save: Save, name: str, encoder: str
) -> None:
    config = {"tiny": tiny, "smp": SMP, "own": OWN}[encoder]
    weights = shuffled_state(config, 3)
    assert same(encoder_state(replace(config, encoder_weights=save(weights, name)), 3), weights)


@pytest.mark.parametrize("bands", [1, 2, 4])
@pytest.mark.parametrize(("encoder", "first"), [("tiny", "model.conv1.0.weight"), ("smp", "conv1.weight")])
def test_a_first_convolution_over_rgb_is_adapted_to_other_bands_as_timm_does(
    tiny: ModelConfig, save: Save, encoder: str, first: str, bands: int
) -> None:
    config = {"tiny": tiny, "smp": SMP}[encoder]
    weights = shuffled_state(config, 3)
    found = encoder_state(replace(config, encoder_weights=save(weights)), bands)
    assert same(found, weights | {first: adapt_input_conv(bands, weights[first])})


def test_a_file_of_a_whole_network_gives_its_encoder(tiny: ModelConfig, save: Save) -> None:
    whole = shuffled(build_model(tiny, 3)).state_dict()
    found = encoder_state(replace(tiny, encoder_weights=save(whole)), 3)
    assert same(found, {name: whole[f"network.backbone.encoder.{name}"] for name in found})


def test_a_training_checkpoint_gives_its_encoder(tiny: ModelConfig, save: Save) -> None:
    whole = {f"model.{name}": tensor for name, tensor in shuffled(build_model(tiny, 3)).state_dict().items()}
    content = {"epoch": 3, "state_dict": whole, "loops": {}}
    found = encoder_state(replace(tiny, encoder_weights=save(content, "last.ckpt")), 3)
    assert same(found, {name: whole[f"model.network.backbone.encoder.{name}"] for name in found})


def test_a_baseline_starts_from_a_file_too(save: Save) -> None:
    weights = shuffled_state(SMP, 3)
    assert same(
        encoder_state(ModelConfig(architecture="unet", encoder="resnet18", encoder_weights=save(weights)), 3), weights
    )


def test_a_file_without_batch_counters_is_accepted(save: Save) -> None:
    weights = {k: v for k, v in shuffled_state(SMP, 3).items() if not k.endswith("num_batches_tracked")}
    found = encoder_state(replace(SMP, encoder_weights=save(weights)), 3)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("network", ["test_resnet", "test_byobnet", "test_efficientnet"])
def test_the_weights_file_of_a_timm_network_fits_its_encoder(
    tiny: ModelConfig, save: Save, network: str, bands: int
) -> None:
    donor = shuffled(timm.create_model(network))
    weights = donor.state_dict()
    config = replace(tiny, encoder=f"tu-{network}", encoder_weights=save(weights))
    found = encoder_state(config, bands)
    first = donor.pretrained_cfg["first_conv"] + ".weight"
    # In feature extractors, timm replaces some dots of names by underscores.
    wanted = {name.replace("_", "."): tensor for name, tensor in weights.items()}
    wanted[first.replace("_", ".")] = adapt_input_conv(bands, weights[first])
    assert all(torch.equal(found[name], wanted[name[len("model.") :].replace("_", ".")]) for name in found)


def test_without_a_source_weights_are_random(tiny: ModelConfig) -> None:
    assert not same(encoder_state(tiny, 3), encoder_state(tiny, 3))


def test_stored_configurations_do_not_contain_the_weights() -> None:
    assert replace(SMP, encoder_weights="imagenet").arguments() == SMP.arguments()


class Bomb:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_its_code_not_run(tiny: ModelConfig, tmp_path: Path, save: Save) -> None:
    trace = tmp_path / "was_here"
    source = save({"conv1.weight": torch.zeros(1), "bomb": Bomb(trace)})
    message = refusal(replace(tiny, encoder_weights=source))
    assert "holds more than tensors (UnpicklingError); wanted a safetensors file, or a PyTorch file" in message
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists()


def test_a_file_that_is_missing_is_refused(tiny: ModelConfig, tmp_path: Path) -> None:
    message = refusal(replace(tiny, encoder_weights=str(tmp_path / "none.pth")))
    assert message.endswith("which does not exist; wanted .bin or .ckpt or .pt or .pth or .safetensors")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x02]", b"\x80\x02j0000.", b"PK\x03\x04", b"\x00" * 64])
def test_a_damaged_file_is_refused(tiny: ModelConfig, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "which is damaged" in refusal(replace(tiny, encoder_weights=str(path)))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_cut_short_is_refused(tiny: ModelConfig, save: Save, name: str) -> None:
    path = Path(save(shuffled_state(tiny, 3), name))
    path.write_bytes(path.read_bytes()[:-100])
    assert "which is damaged" in refusal(replace(tiny, encoder_weights=str(path)))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(1)], {0: torch.zeros(1)}, {"state_dict": None}])
def test_a_file_without_named_tensors_is_refused(tiny: ModelConfig, save: Save, content: object) -> None:
    message = refusal(replace(tiny, encoder_weights=save(content)))
    assert message.endswith("which holds no tensors; wanted a state dict")


@pytest.mark.parametrize("config", [SMP, OWN])
def test_weights_of_another_shape_are_refused(save: Save, config: ModelConfig) -> None:
    message = refusal(replace(config, encoder_weights=save(shuffled_state(config, 5))), bands=4)
    first, shape = ("conv1.weight", "64, 5, 7, 7") if config is SMP else ("levels.0.0.0.weight", "32, 5, 3, 3")
    wanted = shape.replace("5", "4", 1)
    assert f"where {first} has shape [{shape}]; encoder {config.encoder} with 4 bands needs [{wanted}]" in message


@pytest.mark.parametrize("encoder", ["resnet18", "dilated_small", "tu-test_byobnet", "tu-test_resnet"])
def test_weights_of_another_encoder_are_refused(tiny: ModelConfig, save: Save, encoder: str) -> None:
    source = save(timm.create_model("test_efficientnet").state_dict())
    message = refusal(replace(SMP, encoder=encoder, encoder_weights=source))
    assert f"encoder {encoder}" in message
    assert "are missing); wanted the weights of" in message or "size mismatch" in message


@pytest.mark.parametrize("network", ["test_resnet", "test_byobnet"])
def test_a_timm_file_that_lacks_some_weights_is_refused(tiny: ModelConfig, save: Save, network: str) -> None:
    weights = timm.create_model(network).state_dict()
    source = save(dict(list(weights.items())[: len(weights) // 2]))
    message = refusal(replace(tiny, encoder=f"tu-{network}", encoder_weights=source))
    assert f"are missing); wanted the weights of encoder tu-{network}" in message


@pytest.mark.parametrize(
    ("encoder", "possible"),
    [
        ("resnet18", "use imagenet, ssl, swsl or a file"),
        ("tu-test_resnet", "use imagenet or a file"),
        ("dilated_tiny", "use a file"),
    ],
)
def test_an_unknown_name_of_weights_lists_the_known_ones(encoder: str, possible: str) -> None:
    message = refusal(replace(SMP, encoder=encoder, encoder_weights="imagenett"))
    assert message.endswith(f"but encoder {encoder} has no weights with this name; {possible}")


@pytest.mark.parametrize(
    ("encoder", "place", "address"),
    [
        ("resnet18", smp.encoders, "smp-hub/resnet18.imagenet/resolve/"),
        ("tu-test_resnet", timm.models._hub, "timm/test_resnet.r160_in1k/resolve/main/"),
    ],
)
def test_without_a_connection_the_error_names_the_file_to_download(
    monkeypatch: pytest.MonkeyPatch, encoder: str, place: object, address: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(place, "hf_hub_download", fail)
    message = refusal(replace(SMP, encoder=encoder, encoder_weights="imagenet"))
    assert "could not be fetched (ConnectionError); download https://huggingface.co/" in message
    assert address in message
    assert message.endswith("model.safetensors on a machine with network access and give the file instead")
