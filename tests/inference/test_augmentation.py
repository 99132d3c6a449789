import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.errors import ConfigError
from seg.inference.augmentation import DIHEDRAL, TestTimeAugmentation, resize_bilinear

IMAGE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_turns_and_flips_match_their_names() -> None:
    wanted = {
        "identity": IMAGE,
        "rot90": np.rot90(IMAGE, axes=(1, 2)),
        "rot180": IMAGE[:, ::-1, ::-1],
        "rot270": np.rot90(IMAGE, 3, axes=(1, 2)),
        "flip_horizontal": IMAGE[:, :, ::-1],
        "flip_vertical": IMAGE[:, ::-1],
        "transpose": IMAGE.swapaxes(1, 2),
        "anti_transpose": IMAGE[:, ::-1, ::-1].swapaxes(1, 2),
    }
    assert set(wanted) == set(DIHEDRAL)
    for name, turn in DIHEDRAL.items():
        np.testing.assert_array_equal(turn.apply(IMAGE), wanted[name], err_msg=name)


@pytest.mark.parametrize("name", DIHEDRAL)
def test_a_turn_is_undone_exactly(name: str) -> None:
    turn = DIHEDRAL[name]
    np.testing.assert_array_equal(turn.undo(turn.apply(IMAGE)[0]), IMAGE[0])


def test_true_selects_all_turns_false_none_and_names_some() -> None:
    assert TestTimeAugmentation(dihedral=True).turns == list(DIHEDRAL.values())
    assert TestTimeAugmentation(dihedral=False).turns == [DIHEDRAL["identity"]]
    assert TestTimeAugmentation(dihedral=["rot180"]).turns == [DIHEDRAL["rot180"]]
    assert TestTimeAugmentation(dihedral="rot180").turns == [DIHEDRAL["rot180"]]


def test_the_order_of_names_changes_nothing() -> None:
    given = TestTimeAugmentation(dihedral=["transpose", "identity", "rot90"])
    assert given.turns == TestTimeAugmentation(dihedral=["identity", "rot90", "transpose"]).turns


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["identity", "rot45"], r"has rot45; wanted true, false, or some of identity, rot90,"),
        ([], "is empty; wanted true, false, or some of"),
        (["rot90", "identity", "rot90"], "is rot90, identity, rot90; wanted each turn once"),
    ],
)
def test_impossible_turns_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"tta\.dihedral {message}"):
        TestTimeAugmentation(dihedral=names)


@pytest.mark.parametrize(("scales", "wanted"), [((1.0,), 16), ((0.75, 1.0, 1.25), 64), ((0.9,), 160)])
def test_alignment_keeps_every_scale_on_whole_strides(scales: tuple[float, ...], wanted: int) -> None:
    augmentation = TestTimeAugmentation(scales)
    assert augmentation.alignment(16) == wanted
    assert all(wanted * scale % 16 == 0 for scale in augmentation.fractions)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "wanted one or more factors"),
        ((0.0,), "wanted one or more factors between 0.125 and 8"),
        ((-1.0,), "wanted one or more"),
        ((100.0,), "wanted one or more"),
        ((float("nan"),), "wanted one or more"),
        ((1.0, 0.75, 1.0), "wanted each scale once"),
        ((0.333, 1 / 3), "rounded to 1/3, 1/3; wanted each scale once"),
        ((0.47, 0.53, 0.61), r"whose common denominator is \d+; wanted at most 60"),
    ],
)
def test_impossible_scales_are_refused(scales: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"tta\.scales is .*{message}"):
        TestTimeAugmentation(scales)


def test_the_cost_of_views_is_the_sum_of_their_areas() -> None:
    augmentation = TestTimeAugmentation((0.5, 1.0, 2.0), ["identity", "rot180"])
    assert augmentation.views == 6
    assert augmentation.cost == pytest.approx(2 * (0.25 + 1 + 4))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30))
def test_resampling_agrees_with_numpy_interpolation(height: int, width: int, tall: int, wide: int) -> None:
    image = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
    columns = (np.arange(wide) + 0.5) * width / wide - 0.5
    rows = (np.arange(tall) + 0.5) * height / tall - 0.5
    across = np.apply_along_axis(lambda line: np.interp(columns, np.arange(width), line), 2, image)
    wanted = np.apply_along_axis(lambda line: np.interp(rows, np.arange(height), line), 1, across)
    resized = resize_bilinear(image, tall, wide)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, wanted, atol=1e-6)


def test_resampling_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).random((3, 13, 17), dtype=np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(image)[None], (29, 8), mode="bilinear")[0].numpy()
    np.testing.assert_allclose(resize_bilinear(image, 29, 8), wanted, atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 0.75, 0.9, 1.25, 1.5, 2.0])
def test_a_window_far_from_the_corner_gives_the_same_bits(scale: float) -> None:
    image = np.random.default_rng(0).random((1, 4000, 40), dtype=np.float32)
    whole = resize_bilinear(image, int(4000 * scale), int(40 * scale))
    window = resize_bilinear(image[:, 3200:3600], int(400 * scale), int(40 * scale))
    start = int(3200 * scale)
    np.testing.assert_array_equal(window[:, 2:-2], whole[:, start + 2 : start + window.shape[1] - 2])


def test_a_smooth_image_is_restored_after_scaling() -> None:
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[None, :, None].repeat(40, 2)
    back = resize_bilinear(resize_bilinear(ramp, 30, 30), 40, 40)
    np.testing.assert_allclose(back[0, 4:-4], ramp[0, 4:-4], atol=1e-6)


def test_an_image_of_the_target_size_is_unchanged() -> None:
    image = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    assert resize_bilinear(image, 5, 7) is image
