from __future__ import annotations

import itertools
import math
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests train

from seqcli.core import training
from seqcli.core.training import Epoch, FitSettings, Signals, TrainingState, fit, learning_rate, seed_everything
from seqcli.errors import DivergedError, InputError, Interrupted, ModelError, UsageError

SETTINGS = FitSettings(
    epochs=3, accumulate=2, learning_rate=0.02, schedule="cosine", warmup=0.2, weight_decay=0.1, average=0.9, seed=3
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(torch.nn.Module):
    """A small recurrent net with dropout, so that the random numbers matter."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.LSTM(3, 4, batch_first=True)
        self.drop = torch.nn.Dropout(0.3)
        self.out = torch.nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, carried: Any) -> tuple[torch.Tensor, Any]:
        hidden, carried = self.cell(x, carried)
        return self.out(self.drop(hidden)), carried


class Task:
    """Predict the running sum of noise: five chunks of two sequences, in a new order each epoch."""

    def __init__(self, settings: FitSettings, folder: Path | None = None, data: str = "abc") -> None:
        numbers = np.random.default_rng(0)
        self.x = torch.tensor(numbers.normal(size=(5, 2, 6, 3)), dtype=torch.float32)
        self.y = self.x.cumsum(2)[..., :1]
        self.settings = settings
        seed_everything(settings.seed)
        self.net = Net()
        self.signals = Signals()
        self.interrupt_at: int | None = None
        self.records: list[Epoch] = []
        fingerprint = {"data": data, "hidden": 4}
        self.state = (
            TrainingState(self.net, settings, fingerprint)
            if folder is None
            else TrainingState.load(folder, self.net, settings, fingerprint)
        )

    def batches(self, epoch: int) -> list[int]:
        return [int(i) for i in np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.x))]

    def step(self, index: int, carried: Any) -> tuple[torch.Tensor, Any]:
        if self.state.step == self.interrupt_at:
            self.signals.received = signal.SIGTERM
        prediction, carried = self.net(self.x[index], carried)
        return ((prediction - self.y[index]) ** 2).mean(), carried

    def validate(self) -> float:
        return sum(self.step(index, None)[0].item() for index in (0, 1))

    def run(self, **options: Any) -> Task:
        options = {"validate": self.validate, "signals": self.signals} | options
        for record in fit(self.state, self.batches, self.step, **options):
            self.records.append(record)
        return self


def same_weights(one: Task, other: Task) -> bool:
    ours, theirs = one.state.weights(), other.state.weights()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("seconds", "per_second")} for row in history]


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


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_run_interrupted_at_any_step_ends_with_the_same_weights(tmp_path: Path, precision: str) -> None:
    settings = replace(SETTINGS, precision=precision)
    whole = Task(settings).run()
    assert whole.state.planned_steps == 9
    for stop in range(9):
        broken = Task(settings)
        broken.interrupt_at = stop
        with pytest.raises(Interrupted) as caught:
            broken.run()
        assert caught.value.code == 143
        assert broken.state.step in (stop, stop + 1)  # after the step in hand, or the validation before it
        broken.state.save(tmp_path / "resume")
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002 - another process, other numbers
        resumed = Task(settings, tmp_path / "resume").run()
        assert same_weights(whole, resumed), stop
        assert timeless(resumed.state.history) == timeless(whole.state.history)


def test_what_a_caller_draws_between_two_records_changes_nothing() -> None:
    whole, task = Task(SETTINGS).run(), Task(SETTINGS)
    for _ in fit(task.state, task.batches, task.step, validate=task.validate, report_every=0):
        torch.rand(3)
        random.random()
        task.net.eval()
    assert same_weights(whole, task)


def test_a_save_point_in_the_middle_of_an_epoch_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, task = Task(SETTINGS).run(), Task(SETTINGS)
    records = fit(task.state, task.batches, task.step, validate=task.validate, report_every=0, save_every=0)
    record = next(record for record in records if not record.complete and record.epoch == 2)
    assert record.save_due
    assert record.validation is None
    task.state.save(tmp_path / "resume")
    records.close()  # as after kill -9
    assert same_weights(whole, Task(SETTINGS, tmp_path / "resume").run())


def test_reports_and_saves_fall_due_by_the_clock_and_not_by_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    task = Task(replace(SETTINGS, epochs=1, accumulate=1, steps=None))
    task.step = clock.slowly(task.step, lambda: 1.0)  # type: ignore[method-assign]
    records = list(fit(task.state, task.batches, task.step, report_every=1.5, save_every=3.5))
    assert [(record.step, record.complete, record.save_due) for record in records] == [
        (2, False, False),
        (4, False, True),
        (5, True, True),  # the end is always worth saving
    ]


def test_a_save_point_of_a_gpu_goes_on_without_one(tmp_path: Path) -> None:
    whole, task = Task(SETTINGS).run(), Task(SETTINGS)
    task.interrupt_at = 4
    with pytest.raises(Interrupted):
        task.run()
    assert task.state.random is not None
    task.state.random = replace(task.state.random, cuda=(torch.zeros(16, dtype=torch.uint8),) * 2)
    task.state.save(tmp_path / "resume")
    assert same_weights(whole, Task(SETTINGS, tmp_path / "resume").run())


def test_a_finished_training_resumes_to_its_end_at_once(tmp_path: Path) -> None:
    whole = Task(SETTINGS).run()
    whole.state.save(tmp_path / "resume")
    again = Task(SETTINGS, tmp_path / "resume").run()
    assert again.records == []
    assert same_weights(whole, again)


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


# --- time ------------------------------------------------------------------------------------------------------


def cell_later(name: str, progress: float) -> float:
    """The output layer from the beginning; the cell more slowly, and from the middle on."""
    return 1.0 if name.startswith("out") else 0.5 if progress >= 0.5 else 0.0


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


def test_a_run_with_rates_of_its_own_is_interrupted_and_resumed_exactly(tmp_path: Path) -> None:
    whole = Task(SETTINGS).run(rates=cell_later)
    for at in (2, 5):  # before and after the cell begins to learn
        stopped = Task(SETTINGS)
        stopped.interrupt_at = at
        with pytest.raises(Interrupted):
            stopped.run(rates=cell_later)
        stopped.state.save(tmp_path / "resume")
        assert same_weights(Task(SETTINGS, tmp_path / "resume").run(rates=cell_later), whole)


class Clock:
    """Time that passes only when a step or a validation says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        clock = SimpleNamespace(perf_counter=lambda: self.now, monotonic=lambda: self.now)
        monkeypatch.setattr(training, "time", clock)

    def slowly(self, work: Callable[..., Any], seconds: Callable[[], float]) -> Callable[..., Any]:
        def slow(*arguments: Any) -> Any:
            self.now += seconds()
            return work(*arguments)

        return slow


def test_the_planned_steps_fit_the_time_and_reproduce_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    task = Task(replace(SETTINGS, epochs=10_000, max_minutes=1.0))
    task.step = clock.slowly(task.step, lambda: 0.05)  # type: ignore[method-assign]
    task.validate = clock.slowly(task.validate, lambda: 0.2)  # type: ignore[method-assign]
    task.run()
    assert task.records[-1].stopped == "steps"
    assert 50 < clock.now < 60  # the validation steps count twice, so the plan is a little careful
    assert task.records[-1].seconds == pytest.approx(clock.now)
    again = Task(replace(SETTINGS, epochs=1, steps=task.state.planned_steps)).run()
    assert same_weights(task, again)


def test_a_machine_that_turns_slow_is_stopped_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    task = Task(replace(SETTINGS, epochs=10_000, max_minutes=1.0))
    task.step = clock.slowly(task.step, lambda: 0.05 if clock.now < 20 else 1.0)  # type: ignore[method-assign]
    task.run()
    assert task.records[-1].stopped == "time"
    assert clock.now < 66
    again = Task(replace(SETTINGS, steps=task.state.planned_steps, stop_step=task.state.step)).run()
    assert same_weights(task, again)


def test_a_time_limit_never_lengthens_a_run() -> None:
    task = Task(replace(SETTINGS, max_minutes=10.0, epochs=1)).run()
    assert task.state.step == 3


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


def test_a_run_goes_on_only_with_its_own_settings_data_and_net(tmp_path: Path) -> None:
    folder = tmp_path / "resume"
    with pytest.raises(ModelError, match="no training to resume"):
        Task(SETTINGS, folder)
    Task(SETTINGS).run().state.save(folder)
    with pytest.raises(ModelError, match=r"'learning_rate' was 0\.02 when the training began, and is now 0\.01"):
        Task(replace(SETTINGS, learning_rate=0.01), folder)
    with pytest.raises(ModelError, match="'data' was 'abc' when the training began, and is now 'other'"):
        Task(SETTINGS, folder, data="other")
    with pytest.raises(ModelError, match="was None when the training began, and is now 1"):
        TrainingState.load(folder, Net(), SETTINGS, {"data": "abc", "hidden": 4, "layers": 1})
    net = Net()
    net.cell = torch.nn.LSTM(3, 5, batch_first=True)
    with pytest.raises(ModelError, match=r"'model/cell.weight_ih_l0' has shape \(16, 3\), not \(20, 3\)"):
        TrainingState.load(folder, net, SETTINGS, {"data": "abc", "hidden": 4})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"position": 0', b'"position": "x"'),
        (b'"carried": null', b'"carried": [[77]]'),
        (b'"epoch"', b'"era"'),
        (b'"MT19937"', b'"LCG"'),
        (b'"history": [', b'"history": [[1], '),
        (b'"format": 1', b'"format": 2'),
        (b"{", b"["),
        (b'"seed"', b'"\\u001b[31m\\nsid"'),
    ],
)
def test_a_damaged_save_point_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    folder = tmp_path / "resume"
    Task(SETTINGS).run().state.save(folder)
    file = folder / "state.json"
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    with pytest.raises(ModelError) as caught:
        Task(SETTINGS, folder)
    assert str(caught.value).isprintable()


# --- signals ---------------------------------------------------------------------------------------------------


def test_a_signal_while_the_speed_is_measured_leaves_a_run_at_its_beginning(tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_minutes=5.0)
    task = Task(settings)
    task.interrupt_at = 1
    with pytest.raises(Interrupted):
        task.run()
    assert task.state.step == 0
    task.state.save(tmp_path / "resume")
    assert same_weights(Task(settings, tmp_path / "resume").run(), Task(SETTINGS).run())


TERMINATED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import SETTINGS, Task
from seqcli.core.training import Signals, fit
from seqcli.errors import Interrupted
import torch
torch.set_num_threads(1)
task = Task(SETTINGS)
def step(index, carried):
    print("step", flush=True)
    time.sleep(0.05)
    return task.step(index, carried)
with Signals() as signals:
    try:
        list(fit(task.state, task.batches, step, validate=task.validate, signals=signals))
    except Interrupted as error:
        task.state.save(Path(sys.argv[2]))
        sys.exit(error.code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_process_that_is_told_to_stop_saves_and_another_goes_on(tmp_path: Path, number: int, code: int) -> None:
    command = [sys.executable, "-c", TERMINATED, str(Path(__file__).parent), str(tmp_path / "resume")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in itertools.islice(process.stdout, 4):
            pass
        process.send_signal(number)
        assert process.wait(30) == code
    resumed = Task(SETTINGS, tmp_path / "resume")
    assert 0 < resumed.state.step < 9
    assert same_weights(Task(SETTINGS).run(), resumed.run())
