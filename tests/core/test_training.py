from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests train
from training_task import SETTINGS, Task, cell_later, one_thread, same_weights

from seqcli.core.training import FitSettings, fit, learning_rate
from seqcli.errors import DivergedError, InputError, UsageError

__all__ = ["one_thread"]  # the fixture


def test_each_epoch_yields_a_record_and_the_loss_falls() -> None:
    task = Task(replace(SETTINGS, epochs=8)).run(size=lambda _: 12)
    assert [record.epoch for record in task.records] == list(range(1, 9))
    assert [record.step for record in task.records] == list(range(3, 25, 3))  # five batches make three steps
    assert {record.planned_steps for record in task.records} == {24}
    assert task.records[-1].train_loss < task.records[0].train_loss
    assert [record.stopped for record in task.records] == [None] * 7 + ["steps"]
    assert all(record.per_second and record.per_second > 0 for record in task.records)
    assert [row["epoch"] for row in task.state.history] == list(range(1, 9))
    assert not task.net.training


def test_equal_seeds_give_equal_weights_and_other_seeds_others() -> None:
    first = Task(SETTINGS).run()
    assert same_weights(first, Task(SETTINGS).run())
    assert not same_weights(first, Task(replace(SETTINGS, seed=4)).run())


def test_gradients_end_at_the_edge_of_a_batch_and_the_state_does_not(tmp_path: Path) -> None:
    task, seen = Task(SETTINGS), []

    def step(index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        seen.append(carried)
        return task.step(index, carried)

    list(fit(task.state, task.batches, step))
    assert [carried is None for carried in seen] == [True, False, False, False, False] * 3  # anew every epoch
    assert all(not part.requires_grad and part.abs().sum() > 0 for carried in seen if carried for part in carried)


def test_accumulated_batches_move_the_weights_as_one_large_batch_does() -> None:
    settings = FitSettings(epochs=1, accumulate=5, clip_norm=0)
    small, large = Task(settings), Task(replace(settings, accumulate=1))
    for task in (small, large):
        task.net.drop.p = 0.0

    def all_at_once(_: int, __: Any) -> tuple[torch.Tensor, None]:
        prediction, _ = large.net(large.x.flatten(0, 1), None)
        return ((prediction - large.y.flatten(0, 1)) ** 2).mean(), None

    list(fit(small.state, small.batches, lambda index, _: (small.step(index, None)[0], None)))
    list(fit(large.state, lambda _: [0], all_at_once))
    for name, value in small.state.weights().items():
        np.testing.assert_allclose(value, large.state.weights()[name], rtol=1e-4, atol=1e-6)


def test_the_update_is_adamw_as_pytorch_has_it_with_biases_left_alone() -> None:
    task = Task(FitSettings(epochs=2, learning_rate=0.05, weight_decay=0.5, clip_norm=0.5))
    other = Task(task.settings)
    task.net.drop.p = other.net.drop.p = 0.0
    named = list(other.net.named_parameters())
    groups = [
        {"params": [value for name, value in named if "bias" not in name], "weight_decay": 0.5},
        {"params": [value for name, value in named if "bias" in name], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    norms = []
    for epoch in range(2):
        carried = None
        for index in other.batches(epoch):
            loss, carried = other.step(index, carried)
            carried = tuple(part.detach() for part in carried)
            optimizer.zero_grad()
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(other.net.parameters(), 0.5).item())
            optimizer.step()
    list(task.run(validate=None).records)
    for name, value in task.state.weights().items():
        np.testing.assert_allclose(value, other.net.state_dict()[name].numpy(), rtol=1e-5, atol=1e-7)
    assert task.records[0].gradient_norm == pytest.approx(np.mean(norms[:5]))
    assert task.records[0].clipped == pytest.approx(np.mean(np.array(norms[:5]) > 0.5))


def test_the_best_weights_are_kept_and_patience_ends_the_run() -> None:
    task = Task(replace(SETTINGS, epochs=20, patience=2, average=0.0))
    scores, kept = iter([5.0, 3.0, 4.0, 3.0]), []

    def validate() -> float:
        kept.append({name: value.clone().numpy() for name, value in task.net.state_dict().items()})
        assert not task.net.training
        return next(scores)

    task.run(validate=validate)
    assert [record.best for record in task.records] == [True, True, False, False]
    assert task.records[-1].stopped == "patience"
    assert task.state.best_step == 6
    assert task.state.best_validation == 3.0
    for name, value in task.net.state_dict().items():  # the model itself holds them as well
        assert np.array_equal(task.state.weights()[name], kept[1][name])
        assert np.array_equal(value.numpy(), kept[1][name])


def test_within_the_tolerance_a_later_epoch_is_kept_but_small_losses_do_not_add_up() -> None:
    losses = iter([1.0, 1.04, 1.08, 1.04])
    task = Task(replace(SETTINGS, epochs=4, tolerance=0.05, average=0.0))
    task.run(validate=lambda: next(losses))
    assert [record.best for record in task.records] == [True, True, False, True]
    assert task.state.best_step == task.records[-1].step


def test_without_validation_the_last_weights_are_the_result() -> None:
    task = Task(replace(SETTINGS, average=0.0, epochs=2))
    snapshots = [
        {name: value.clone().numpy() for name, value in task.net.state_dict().items()}
        for _ in fit(task.state, task.batches, task.step)
    ]
    assert all(np.array_equal(value, snapshots[-1][name]) for name, value in task.state.weights().items())
    assert not np.array_equal(snapshots[0]["out.weight"], snapshots[1]["out.weight"])


def test_averaged_weights_are_what_is_validated_and_kept() -> None:
    task = Task(replace(SETTINGS, epochs=1, average=0.5))
    path, seen, last = [task.net.out.weight.detach().clone()], [], []
    averaged = task.state.averaged

    def watched() -> Any:
        last.append(task.net.out.weight.detach().clone())  # before the average takes its place
        return averaged()

    task.state.averaged = watched  # type: ignore[method-assign]

    def step(index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        if task.state.step >= len(path):
            path.append(task.net.out.weight.detach().clone())
        return task.step(index, carried)

    def validate() -> float:
        seen.append(task.net.out.weight.detach().clone())
        return 1.0

    for _ in fit(task.state, task.batches, step, validate=validate):
        pass
    mean = path[0]
    for number, weight in enumerate([*path[1:], last[0]]):
        mean = mean.lerp(weight, 1 - min(0.5, (1 + number) / (10 + number)))
    assert torch.equal(seen[0], mean)
    assert not torch.equal(seen[0], last[0])
    assert np.array_equal(task.state.weights()["out.weight"], mean.numpy())


def test_a_stop_step_ends_the_run_on_the_longer_ones_path() -> None:
    task = Task(replace(SETTINGS, average=0.0, clip_norm=0.3))
    path = [
        task.net.out.weight.detach().numpy().copy() for _ in fit(task.state, task.batches, task.step, report_every=0)
    ]
    stopped = Task(replace(task.settings, stop_step=4)).run(validate=None)
    assert stopped.state.step == 4
    # After each step one record, and one more at the end of an epoch of three steps.
    assert np.array_equal(stopped.state.weights()["out.weight"], path[4])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (FitSettings(learning_rate=1.0), [1, 1, 1, 1]),
        (FitSettings(learning_rate=1.0, schedule="linear"), [1, 0.75, 0.5, 0.25]),
        (FitSettings(learning_rate=1.0, schedule="linear", warmup=0.5), [0.5, 1, 1, 0.5]),
        (FitSettings(learning_rate=1.0, schedule="cosine"), [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]),
        (FitSettings(learning_rate=1.0, warmup=1.0), [0.25, 0.5, 0.75, 1]),
    ],
)
def test_the_learning_rate_follows_its_schedule(settings: FitSettings, expected: list[float]) -> None:
    assert [learning_rate(settings, step, 4) for step in range(4)] == pytest.approx(expected)


def test_each_parameter_has_its_own_rate_and_one_without_a_rate_stays() -> None:
    settings = FitSettings(epochs=2, learning_rate=0.01, weight_decay=0.1, clip_norm=0, seed=3)
    whole = Task(settings)
    begun = {name: value.clone() for name, value in whole.state.parameters.items()}
    moved: list[dict[str, float]] = []

    def step(index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        moved.append({n: float((v - begun[n]).detach().abs().max()) for n, v in whole.state.parameters.items()})
        return whole.step(index, carried)

    for _ in fit(whole.state, whole.batches, step, rates=cell_later):
        pass
    assert all(row["cell.weight_hh_l0"] == 0 for row in moved[:6]) and moved[1]["out.weight"] > 0
    assert moved[6]["cell.bias_hh_l0"] == pytest.approx(0.005, rel=1e-3)  # Adam's first step is as long as the rate
    assert moved[1]["out.bias"] == pytest.approx(0.01, rel=1e-3)


# --- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("validated", [True, False])
def test_a_loss_that_is_no_number_keeps_the_last_good_weights(validated: bool) -> None:
    task = Task(replace(SETTINGS, average=0.0, epochs=5))
    good: dict[str, np.ndarray] = {}

    def step(index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        loss, carried = task.step(index, carried)
        if task.state.step == 4:
            good.update({name: value.clone().numpy() for name, value in task.net.state_dict().items()})
            loss = loss * math.nan
        return loss, carried

    with pytest.raises(DivergedError, match=r"the loss is not a finite number after step 4 of 15") as caught:
        for record in fit(task.state, task.batches, step, validate=task.validate if validated else None):
            task.records.append(record)
    assert caught.value.hint == "try --learning-rate 0.002"
    assert "learning rate 0.0197)" in str(caught.value)
    assert task.state.best_step == (3 if validated else 4)
    weights = task.state.weights()
    assert all(np.isfinite(value).all() for value in weights.values())
    assert all(np.array_equal(value, good[name]) for name, value in weights.items()) is not validated
    assert all(np.array_equal(value.numpy(), weights[name]) for name, value in task.net.state_dict().items())


def test_a_gradient_or_a_validation_that_is_no_number_ends_the_run_too() -> None:
    task = Task(SETTINGS)
    start = task.net.out.weight.detach().clone()

    def step(index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        loss, carried = task.step(index, carried)
        return loss + torch.sqrt(task.net.out.bias.sum() * 0), carried  # finite, but its slope is not

    with pytest.raises(DivergedError, match="the gradient is not a finite number after step 0"):
        list(fit(task.state, task.batches, step))
    task = Task(SETTINGS)
    with pytest.raises(DivergedError, match="the validation loss is not"):
        task.run(validate=lambda: math.nan)
    assert torch.equal(task.net.out.weight, start)  # nothing was ever validated but the start


def test_no_batches_and_settings_out_of_range_are_the_users_to_mend() -> None:
    with pytest.raises(InputError, match="not one batch"):
        list(fit(Task(SETTINGS).state, lambda _: [], lambda *_: (torch.zeros(()), None)))
    for name, value in (("learning_rate", 0.0), ("learning_rate", math.nan), ("schedule", "steps"), ("accumulate", 0)):
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}: {value!r} is out of range"):
            replace(SETTINGS, **{name: value})
