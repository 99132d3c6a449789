import torch
from torch import nn

from seg.models.build import build_model
from seg.models.segmenter import Segmenter
from seg.training.teachers.average import AverageTeacher
from support.networks import TINY_NETWORK


def network() -> Segmenter:
    torch.manual_seed(0)
    return build_model(TINY_NETWORK, 2).train()


def moved(model: Segmenter, by: float) -> None:
    """Change every weight and every running statistic, and count a batch."""
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.dtype != torch.bool:
                value.add_(by if value.is_floating_point() else 1)


def test_parameters_and_buffers_follow_the_student() -> None:
    student = network()
    teacher = AverageTeacher(student, decay=0.75)
    start = {name: value.clone() for name, value in student.state_dict().items()}
    for _ in range(4):
        moved(student, 1.0)
        teacher.update(student)
    # At first, all steps have the same weight: 1, (1 + 2) / 2, (1 + 2 + 3) / 3 and (1 + 2 + 3 + 4) / 4. In the last
    # mean, the share of the old average is 3/4.
    for name, value in teacher.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, start[name] + 2.5, rtol=1e-5, atol=1e-5)
    norms = [module for module in teacher.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert norm.running_mean is not None
        torch.testing.assert_close(norm.running_mean, torch.full_like(norm.running_mean, 2.5))


def test_counters_are_copied() -> None:
    student = network()
    teacher = AverageTeacher(student, decay=0.9)
    moved(student, 0.0)
    moved(student, 0.0)
    teacher.update(student)
    counters = [value for name, value in teacher.network.state_dict().items() if name.endswith("num_batches_tracked")]
    assert {int(value) for value in counters} == {2}


def test_the_share_of_the_past_is_bounded_by_the_decay() -> None:
    student = network()
    teacher = AverageTeacher(student, decay=0.5)
    for _ in range(30):
        teacher.update(student)
    before = next(teacher.network.parameters()).clone()
    moved(student, 1.0)
    teacher.update(student)
    torch.testing.assert_close(next(teacher.network.parameters()), before + 0.5)


def test_the_teacher_evaluates_and_is_not_trained() -> None:
    student = network()
    teacher = AverageTeacher(student, decay=0.9)
    assert student.training
    assert not any(module.training for module in teacher.network.modules())
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
    assert teacher.logits(torch.zeros(3, 2, 8, 9)).shape == (3, 8, 9)


def test_a_loaded_teacher_continues_from_its_state() -> None:
    student = network()
    first, second = AverageTeacher(student, decay=0.9), AverageTeacher(network(), decay=0.9)
    moved(student, 1.0)
    first.update(student)
    second.load(first.network.state_dict(), first.updates)
    moved(student, 1.0)
    for teacher in (first, second):
        teacher.update(student)
    pairs = zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
