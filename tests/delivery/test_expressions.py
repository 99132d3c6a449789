import numpy as np
import pyarrow as pa
import pytest

from seg.delivery.expressions import Rows, parsed
from seg.errors import ConfigError

PARCELS = pa.record_batch({"名称": ["甲", None], "n": [7, 8]})
ROWS = Rows(PARCELS, {"code": "150101", "rank": 3, "none": None}, {"year": "2026"}, np.array([666.666, 20_000.0]), 11)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("parcel.名称", ["甲", None]),
        ("parcel.n", [7, 8]),
        ("zone.code", ["150101", "150101"]),
        ("zone.rank", [3, 3]),
        ("zone.none", [None, None]),
        ("value.year", ["2026", "2026"]),
        ("'耕地 + 1'", ["耕地 + 1", "耕地 + 1"]),
        ("''", ["", ""]),
        ("-1.50", ["-1.50", "-1.50"]),
        ("number", [11, 12]),
        ("number( 4 )", ["0011", "0012"]),
        ("area_m2", [666.666, 20_000.0]),
        ("area_ha", [0.0666666, 2.0]),
        ("zone.code + '-' + number(3)", ["150101-011", "150101-012"]),
        (" parcel.n+parcel.名称 ", ["7甲", None]),
    ],
)
def test_terms_and_their_concatenation_give_the_values_of_the_records(text: str, values: list[object]) -> None:
    found = parsed(text, "field 'x'").of(ROWS).to_pylist()
    assert found == pytest.approx(values) if text.startswith("area") else found == values


def test_fifteen_mu_are_a_hectare() -> None:
    assert parsed("area_mu", "field 'x'").of(ROWS).to_pylist()[1] == pytest.approx(30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "parcel",
        "parcel.",
        "id",
        "zone.a.b",
        "'open",
        "a + b",
        "1 +",
        "number(x)",
        "areas_m2",
        "__import__('os')",
        "1 2",
    ],
)
def test_texts_that_are_not_expressions_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="field 'x': source is"):
        parsed(text, "field 'x'")
