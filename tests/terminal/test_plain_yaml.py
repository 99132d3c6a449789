"""Limits of YAML texts."""

from pathlib import Path

import pytest
import yaml

from seg.errors import ConfigError
from seg.inspection.subject import from_config
from seg.terminal.plain_yaml import check_configurations, check_yaml, load_plain, require_plain_values

BOMB = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(8))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (BOMB, "100,000 values"),
        ("[" * 1500 + "]" * 1500, "50 levels"),
        ("{a: " * 1500, "50 levels"),
        ("a: -" + "1" * 5000, "5000 digits"),
        ("a: [", "expected"),
    ],
)
def test_a_text_above_the_limits_is_refused_before_it_is_built(text: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError, match=hint):
        check_yaml(text)
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        check_configurations(["fit", "--config", str(path)])
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        from_config(path, bands=3)


def test_aliases_and_numbers_within_the_limits_are_read() -> None:
    assert load_plain("a: &a [1, 1e-3]\nb: [*a, *a]\n") == {"a": [1, 0.001], "b": [[1, 0.001], [1, 0.001]]}


def test_text_instead_of_a_configuration_is_left_to_the_parser() -> None:
    check_configurations(["--config={" + "a" * 5000 + ": 1}", "--config=missing.yaml", "--config"])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"trainer": {"lr": float("nan")}}, "trainer.lr is nan; wanted a finite number of at most 64 bits"),
        ({"shares": [0.5, float("inf")]}, "shares is inf; wanted a finite number"),
        ({"steps": 2**63}, "steps is 9223372036854775808; wanted a finite number"),
        ({"data": {"root": "a\0b"}}, "data.root contains a NUL character; remove it"),
    ],
)
def test_a_value_that_is_not_plain_is_named_in_the_error(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        require_plain_values(values)


def test_nodata_may_be_nan_and_other_values_may_be_any_plain_value() -> None:
    require_plain_values({"data": {"nodata": float("nan")}, "on": True, "none": None, "steps": 2**63 - 1, "a": ["b"]})
