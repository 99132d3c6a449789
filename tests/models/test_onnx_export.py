from pathlib import Path

import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.onnx_export import export_onnx
from seg.models.segmenter import BandNormalization, Segmenter

BANDS = 2


class FourCells(nn.Module):
    """Means of an image's four quarters; in the ONNX graph of this layer, the size of the quarters is fixed."""

    def forward(self, image: Tensor) -> Tensor:
        return F.interpolate(F.adaptive_avg_pool2d(image[:, :1], 2), size=image.shape[-2:])


class Cells(nn.Module):
    """A layer over the means of four quarters. Its ONNX graph runs only on images of the size of the example."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, image: Tensor) -> Tensor:
        cells = self.layer(F.adaptive_avg_pool2d(image[:, :1], 2).flatten(1)).reshape(-1, 1, 2, 2)
        return F.interpolate(cells, size=image.shape[-2:])


def one_layer() -> Segmenter:
    """The smallest possible network, since exports take seconds."""
    normalization = BandNormalization(BANDS)
    normalization.fill([1000.0, 2000.0], [100.0, 300.0])
    return Segmenter(normalization, nn.Conv2d(BANDS, 1, 3, padding=1), stride=4)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(one_layer(), BANDS, path, {"bands": "red, nir", "threshold": "0.5"})
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_metadata_is_kept(session: onnxruntime.InferenceSession) -> None:
    kept = session.get_modelmeta().custom_metadata_map
    assert (kept["bands"], kept["threshold"]) == ("red, nir", "0.5")


def test_input_is_an_image_and_output_is_logits(session: onnxruntime.InferenceSession) -> None:
    assert [entry.name for entry in session.get_inputs()] == ["image"]
    assert [entry.name for entry in session.get_outputs()] == ["logits"]
    image = 1500 + 500 * torch.randn(1, BANDS, 9, 14)
    (logits,) = session.run(None, {"image": image.numpy()})
    assert logits.shape == (1, 1, 9, 14)
    assert logits.min() < 0 < logits.max()


def test_a_boundary_head_is_a_second_output(tmp_path: Path) -> None:
    model = Segmenter(one_layer().normalization, nn.Conv2d(BANDS, 2, 3, padding=1), stride=4).eval()
    export_onnx(model, BANDS, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    image = 1500 + 500 * torch.randn(1, BANDS, 6, 11)
    cropland, boundary = session.run(["logits", "boundary"], {"image": image.numpy()})
    with torch.inference_mode():
        heads = model.heads(image)
    torch.testing.assert_close(torch.from_numpy(cropland), heads.cropland, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.from_numpy(boundary), heads.boundary, atol=1e-4, rtol=0)


def test_bands_are_fixed_in_the_file(session: onnxruntime.InferenceSession) -> None:
    assert session.get_inputs()[0].shape[:2] == [1, BANDS]


def test_training_mode_is_not_changed(tmp_path: Path) -> None:
    model = one_layer().train()
    export_onnx(model, BANDS, tmp_path / "model.onnx")
    assert model.training


def test_another_number_of_bands_than_the_network_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be exported to ONNX"):
        export_onnx(one_layer(), BANDS + 1, tmp_path / "model.onnx")


def test_a_network_that_gives_other_values_as_onnx_is_refused(tmp_path: Path) -> None:
    model = Segmenter(BandNormalization(BANDS), FourCells(), stride=4)
    with pytest.raises(ConfigError, match="different values as ONNX"):
        export_onnx(model, BANDS, tmp_path / "model.onnx")


def test_a_network_whose_onnx_file_runs_on_only_one_size_is_refused(tmp_path: Path) -> None:
    model = Segmenter(BandNormalization(BANDS), Cells(), stride=4)
    with pytest.raises(ConfigError, match="as ONNX, this network works only for some image sizes"):
        export_onnx(model, BANDS, tmp_path / "model.onnx")


def test_a_refusal_keeps_the_training_mode_and_leaves_no_file(tmp_path: Path) -> None:
    model = Segmenter(BandNormalization(BANDS), FourCells(), stride=4).train()
    with pytest.raises(ConfigError):
        export_onnx(model, BANDS, tmp_path / "model.onnx")
    assert model.training
    assert not (tmp_path / "model.onnx").exists()
