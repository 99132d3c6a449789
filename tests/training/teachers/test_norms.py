import torch
from torch import nn

from seg.training.teachers.norms import for_clean, for_labelled, for_strong

LABELLED, CLEAN = torch.full((1, 1, 2, 2), 4.0), torch.full((1, 1, 2, 2), 8.0)


def norm() -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(1, momentum=0.2)).train()


def mean_of(model: nn.Sequential) -> float:
    return float(model.get_buffer("0.running_mean"))


def test_labelled_and_clean_samples_move_the_statistics_towards_the_mean_of_both() -> None:
    model, plain = norm(), norm()
    for _ in range(3):
        with for_labelled(model, "clean"):
            model(LABELLED)
        with for_clean(model):
            model(CLEAN)
        plain(torch.full((1, 1, 2, 2), 6.0))
    assert abs(mean_of(model) - mean_of(plain)) < 1e-6


def test_the_policy_labelled_updates_statistics_from_labelled_samples_only() -> None:
    model, plain = norm(), norm()
    with for_labelled(model, "labelled"):
        model(LABELLED)
    plain(LABELLED)
    assert mean_of(model) == mean_of(plain)


def test_strong_views_never_move_the_statistics() -> None:
    for policy in ("clean", "labelled", "frozen"):
        model = norm()
        with for_strong(model, policy):  # type: ignore[arg-type]
            model(CLEAN + torch.rand(1, 1, 2, 2))
        assert mean_of(model) == 0
        assert model.training
        assert model[0].training
        assert model[0].momentum == 0.2


def test_frozen_strong_views_are_normalised_by_running_statistics() -> None:
    model = norm()
    with torch.no_grad(), for_strong(model, "frozen"):
        shown = model(CLEAN)
    torch.testing.assert_close(shown, CLEAN / (1 + 1e-5) ** 0.5)
    with torch.no_grad(), for_strong(model, "labelled"):
        assert float(model(CLEAN).abs().max()) == 0  # batch statistics subtract the batch's own mean


def test_frozen_norms_stay_frozen() -> None:
    model = norm().eval()
    with for_labelled(model, "clean"), for_strong(model, "frozen"):
        model(CLEAN)
    assert not model[0].training
    assert mean_of(model) == 0
