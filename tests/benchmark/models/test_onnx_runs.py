import pytest

from seg.benchmark.models import compare as onnx_runs
from seg.benchmark.models.compare import OnnxRuns


class FakeSession:
    """A session that counts its runs."""

    runs = 0

    def __init__(self, content: bytes, options: object, providers: list[str]) -> None:
        self.content = content

    def run(self, outputs: list[str], inputs: dict[str, object]) -> None:
        FakeSession.runs += 1


def test_a_session_is_open_and_warm_only_during_a_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runs.onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setattr(FakeSession, "runs", 0)
    runs = OnnxRuns(b"", (1, 2, 8, 8), threads=1)
    assert runs.session is None
    runs.open()
    assert FakeSession.runs == 1
    runs.run()
    assert FakeSession.runs == 2
    runs.close()
    assert runs.session is None
