import pytest

from seg.errors import ConfigError, listed, require_option


def test_the_error_about_a_wrong_option_shows_its_value_and_the_wanted_range() -> None:
    require_option(True, "block_size", 7, "1 pixel or more")
    with pytest.raises(ConfigError, match="--block-size is 0; wanted 1 pixel or more"):
        require_option(False, "block_size", 0, "1 pixel or more")


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b, c, ... (4 in all)")]
)
def test_long_lists_are_cut_and_counted(names: list[str], text: str) -> None:
    assert listed(names, 3) == text
