from pathlib import Path

import pytest

from seg.errors import ConfigError
from seg.inspection.subject import from_config


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_network_follows_the_training_configuration(tmp_path: Path) -> None:
    text = (
        "model:\n  model: {encoder: dilated_tiny, output_stride: 2, decoder_channels: [8]}\ntrainer: {max_epochs: 3}\n"
    )
    subject = from_config(write(tmp_path / "a.yaml", text), bands=5)
    assert (subject.config.encoder, subject.config.decoder_channels, subject.bands) == ("dilated_tiny", (8,), 5)
    assert subject.model.stride == 2


def test_bands_that_the_configuration_lists_are_counted(tmp_path: Path) -> None:
    text = (
        "data: {bands: [4, 3, 2]}\nmodel: {model: {encoder: dilated_tiny, output_stride: 2, decoder_channels: [8]}}\n"
    )
    assert from_config(write(tmp_path / "a.yaml", text), bands=5).bands == 3


def test_pretrained_weights_are_not_downloaded(tmp_path: Path) -> None:
    text = (
        "model: {model: {encoder: dilated_tiny, encoder_weights: none.pth, output_stride: 2, decoder_channels: [8]}}\n"
    )
    assert from_config(write(tmp_path / "a.yaml", text), bands=1).config.encoder_weights is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2", ["not a training configuration in YAML"]),
        ("just words", ["not a training configuration in YAML"]),
        ("model: {model: {encodr: resnet18}}", ["model.model", "encodr"]),
        ("model: {model: {output_stride: many}}", ["output_stride"]),
        ("model: {model: {encoder: resnet81}}", ["resnet81", "resnet18"]),
    ],
)
def test_an_invalid_configuration_is_refused_in_one_line(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        from_config(write(tmp_path / "a.yaml", text), bands=3)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_configuration_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file"):
        from_config(tmp_path / "none.yaml", bands=3)
