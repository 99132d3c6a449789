import torch

from seg.models.segmenter import BandNormalization


def test_filled_statistics_bring_each_band_to_mean_0_and_deviation_1() -> None:
    image = torch.randn(1, 2, 50, 60) * torch.tensor([3.0, 700.0])[:, None, None] + 4000
    layer = BandNormalization(2)
    layer.fill(image.mean(dim=(0, 2, 3)).tolist(), image.std(dim=(0, 2, 3)).tolist())
    normal = layer(image)
    torch.testing.assert_close(normal.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(normal.std(dim=(0, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)


def test_band_mean_becomes_exactly_0() -> None:
    layer = BandNormalization(1)
    layer.fill([1234.56], [78.9])
    assert layer(torch.full((1, 1, 2, 2), layer.mean.item())).abs().max() == 0


def test_statistics_are_in_the_state_dict() -> None:
    layer = BandNormalization(2)
    layer.fill([1.0, 2.0], [3.0, 4.0])
    other = BandNormalization(2)
    other.load_state_dict(layer.state_dict())
    assert other.filled
    assert other.mean.tolist() == [1.0, 2.0]
    assert other.std.tolist() == [3.0, 4.0]
