from collections.abc import Callable
from pathlib import Path

import pytest

from seg.inference.compute.predictor import Predictor
from seg.inference.planning import memory
from seg.inference.planning.memory import (
    GIB,
    LEAST,
    LEAST_CHANNELS,
    allowed_memory,
    bytes_per_pixel,
    expected_memory,
    pixels_within,
)

MakePredictor = Callable[..., Predictor]


@pytest.mark.parametrize(("free", "allowed"), [(64 * GIB, 16 * GIB), (4 * GIB, LEAST), (2 * GIB, GIB), (None, LEAST)])
def test_a_quarter_of_the_free_memory_is_used_or_half_if_little_is_free(
    free: int | None, allowed: int, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    predictor = make_predictor()
    assert allowed_memory(None, predictor) == allowed
    assert allowed_memory(8.0, predictor) == 8 * GIB
    predictor.members[0].backend.device_memory = 12 * GIB
    assert allowed_memory(None, predictor) == (3 * GIB if free is None else min(3 * GIB, allowed))


def test_free_memory_respects_the_limit_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._free_in_group(tmp_path) is None
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    assert memory._free_in_group(tmp_path) == 2 * GIB
    monkeypatch.setattr(memory, "_free_in_group", lambda: 5)
    assert memory.free_memory() == 5


def test_the_memory_of_a_block_grows_with_its_pixels(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    pixels = pixels_within(GIB, predictor)
    assert expected_memory(pixels, predictor) == pytest.approx(GIB, rel=1e-5)
    assert pixels_within(1000, predictor) == 0


def test_a_feature_map_has_fewer_values_than_32_bits_can_count(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    assert pixels_within(10**15, predictor) * LEAST_CHANNELS <= 2**30


def test_wide_maps_large_scales_and_images_started_ahead_take_more_memory(make_predictor: MakePredictor) -> None:
    plain, scaled, ahead = (make_predictor(scales) for scales in ((1.0,), (1.0, 2.0), (1.0,)))
    architecture = plain.packages[0].architecture
    wide = make_predictor(
        architecture={**architecture, "arguments": architecture["arguments"] | {"decoder_channels": [64, 64]}}
    )
    ahead.members[0].backend.ahead = 1
    least = bytes_per_pixel(plain)
    assert all(bytes_per_pixel(other) > 1.5 * least for other in (scaled, wide, ahead))
