import pytest
import torch
import torch.nn.functional as F

from seg.models.layers import AtrousPyramid, TransposedUpsample, bilinear_kernel


def test_bilinear_kernel_interpolates_as_torch_does() -> None:
    image = torch.rand(1, 1, 9, 7)
    doubled = F.conv_transpose2d(image, bilinear_kernel()[None, None], stride=2, padding=1)
    wanted = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])


def test_upsample_doubles_and_draws_no_checkerboard_on_a_constant_input() -> None:
    upsample = TransposedUpsample(5, 3).eval()
    with torch.inference_mode():
        out = upsample(torch.full((1, 5, 16, 16), 0.7))
    assert out.shape == (1, 3, 32, 32)
    inner = out[..., 2:-2, 2:-2]
    assert float((inner - inner.mean(dim=(2, 3), keepdim=True)).abs().max()) < 1e-5


@pytest.mark.parametrize("rates", [(1,), (1, 2, 5)])
def test_pyramid_keeps_height_and_width(rates: tuple[int, ...]) -> None:
    pyramid = AtrousPyramid(6, 4, rates, dropout=0.0)
    assert pyramid(torch.randn(2, 6, 11, 13)).shape == (2, 4, 11, 13)


def test_pyramid_sees_no_further_than_its_largest_rate() -> None:
    pyramid = AtrousPyramid(1, 2, (1, 3), dropout=0.0).eval()
    image = torch.zeros(1, 1, 21, 21)
    image[..., 10, 10] = torch.nan
    rows, columns = pyramid(image)[0, 0].isnan().nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 13, 7, 13)
