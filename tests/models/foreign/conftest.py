import pytest

from support.onnx_networks import use_short_strips


@pytest.fixture(autouse=True)
def short_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    use_short_strips(monkeypatch)
