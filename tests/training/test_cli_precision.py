"""Training with less than 32 bits of precision."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seg.training.cli import main
from support.training import write_config

WORDS = ("--trainer.max_epochs=1", "--trainer.logger=false", "--panels.scenes=0", "--panels.curves=false")


def test_losses_in_bfloat16_are_close_to_losses_in_32_bits(
    tmp_path: Path, make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, make_dataset)
    losses = []
    for precision in ("32", "bf16-mixed"):
        words = [f"--trainer.precision={precision}", "--trainer.accumulate_grad_batches=2"]
        words += ["--model.gradient_checkpointing=true"]
        assert main(["fit", f"--config={config}", *WORDS, *words]) == 0
        losses.append(float(capsys.readouterr().out.partition("train/loss ")[2].split()[0]))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_float16_on_a_cpu_is_refused_in_one_line(
    tmp_path: Path, make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, make_dataset)
    assert main(["fit", f"--config={config}", *WORDS, "--trainer.precision=16-mixed"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert line.startswith("error: trainer.precision is 16-mixed")
    assert "bf16-mixed" in line
    assert not (tmp_path / "run" / "checkpoints").exists()
