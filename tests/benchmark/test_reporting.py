from pathlib import Path

import torch

from seg.benchmark.reporting import cpu_name, describe_machine


def test_the_header_has_date_and_machine() -> None:
    machine = describe_machine(torch.device("cpu"))
    line = str(machine)
    assert all(text in line for text in (machine.date, machine.python, machine.torch, machine.onnxruntime, machine.cpu))
    assert f"{torch.get_num_threads()} thread" in line
    assert "GPU" not in line
    assert "\n" not in line


def test_the_processor_has_the_name_that_linux_reports(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: other\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Some CPU @ 3 GHz"


def test_without_cpuinfo_the_processor_still_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert cpu_name(tmp_path / "cpuinfo")
    assert cpu_name(tmp_path / "missing")
