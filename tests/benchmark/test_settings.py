import pytest

from seg.benchmark.settings import ConvolutionSettings, InferenceSettings, ModelSettings
from seg.errors import ConfigError


@pytest.mark.parametrize("channels", [0, -32, 48])
def test_channels_that_32_groups_do_not_divide_are_refused(channels: int) -> None:
    with pytest.raises(ConfigError, match=f"channels is {channels}; wanted a multiple of 32"):
        ConvolutionSettings(channels=channels)


@pytest.mark.parametrize(("option", "value"), [("size", 0), ("repeats", 0)])
@pytest.mark.parametrize("settings", [ConvolutionSettings, ModelSettings])
def test_too_small_values_are_refused(settings: type, option: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{option} is {value}; wanted {value + 1} or more"):
        settings(**{option: value})


@pytest.mark.parametrize("threads", [-1, 10**20])
def test_a_number_of_threads_out_of_range_is_refused(threads: int) -> None:
    with pytest.raises(ConfigError, match=f"threads is {threads}; wanted 0 to 1,024"):
        ModelSettings(threads=threads)


def test_an_image_without_bands_is_refused() -> None:
    with pytest.raises(ConfigError, match="bands is 0"):
        ModelSettings(bands=0)


def test_a_precision_of_gpus_is_refused_on_the_cpu() -> None:
    assert InferenceSettings(device="cuda", precision="bf16").compute().device == "cuda"
    with pytest.raises(ConfigError, match="precision is bf16"):
        InferenceSettings(precision="bf16")
