from pathlib import Path

import torch

from seg.benchmark.machine import cpu_name, describe_machine


def test_the_header_says_when_and_on_what_was_measured() -> None:
    machine = describe_machine(torch.device("cpu"))
    line = str(machine)
    assert all(text in line for text in (machine.date, machine.python, machine.torch, machine.onnxruntime, machine.cpu))
    assert f"{torch.get_num_threads()} thread" in line
    assert "GPU" not in line
    assert "\n" not in line


def test_the_processor_is_called_what_linux_calls_it(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: other\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Some CPU @ 3 GHz"


def test_a_processor_that_linux_does_not_name_has_some_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert cpu_name(tmp_path / "cpuinfo")
    assert cpu_name(tmp_path / "missing")
