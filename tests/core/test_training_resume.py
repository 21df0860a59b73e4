"""A run that is interrupted, saved and resumed, or has to end in time, gives the weights of one that was left alone."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - these tests train
from training_task import SETTINGS, Net, Task, cell_later, one_thread, same_weights, timeless

from seqcli.core import training
from seqcli.core.training import TrainingState, fit
from seqcli.errors import Interrupted, ModelError

__all__ = ["one_thread"]  # the fixture


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


def test_a_run_with_rates_of_its_own_is_interrupted_and_resumed_exactly(tmp_path: Path) -> None:
    whole = Task(SETTINGS).run(rates=cell_later)
    for at in (2, 5):  # before and after the cell begins to learn
        stopped = Task(SETTINGS)
        stopped.interrupt_at = at
        with pytest.raises(Interrupted):
            stopped.run(rates=cell_later)
        stopped.state.save(tmp_path / "resume")
        assert same_weights(Task(SETTINGS, tmp_path / "resume").run(rates=cell_later), whole)


# --- time ------------------------------------------------------------------------------------------------------


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


def test_a_machine_that_turns_slow_ends_in_time_at_the_end_of_a_shorter_schedule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    task = Task(replace(SETTINGS, epochs=10_000, max_minutes=1.0, schedule="cosine"))
    task.step = clock.slowly(task.step, lambda: 0.05 if clock.now < 20 else 1.0)  # type: ignore[method-assign]
    task.run()
    assert 50 < clock.now < 62
    assert task.records[-1].stopped == "time"
    assert task.state.planned_steps - 5 < task.state.step <= task.state.planned_steps < task.state.first_plan
    assert task.records[-1].learning_rate < 0.01 * SETTINGS.learning_rate


def test_a_machine_that_stops_for_long_is_cut_off_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    task = Task(replace(SETTINGS, epochs=10_000, max_minutes=1.0))
    task.step = clock.slowly(task.step, lambda: 0.05 if clock.now < 20 else 100.0)  # type: ignore[method-assign]
    task.run()
    assert task.records[-1].stopped == "time"
    assert clock.now < 20 + 4 * 100  # a step takes three batches


def test_a_run_that_was_planned_anew_goes_on_as_if_it_had_never_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, folder = replace(SETTINGS, epochs=10_000, max_minutes=1.0, schedule="cosine"), tmp_path / "resume"

    def slow(task: Task) -> Task:
        clock = Clock(monkeypatch)
        clock.now = task.state.seconds
        task.step = clock.slowly(task.step, lambda: 0.05 if clock.now < 20 else 1.0)  # type: ignore[method-assign]
        return task

    whole = slow(Task(settings)).run()
    task = slow(Task(settings))
    task.interrupt_at = whole.state.step - 3
    with pytest.raises(Interrupted):
        task.run()
    task.state.save(folder)
    again = slow(Task(settings, folder)).run()
    assert again.state.first_plan == whole.state.first_plan > again.state.planned_steps == whole.state.planned_steps
    assert same_weights(again, whole)


def test_a_time_limit_never_lengthens_a_run() -> None:
    task = Task(replace(SETTINGS, max_minutes=10.0, epochs=1)).run()
    assert task.state.step == 3


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


def test_settings_inside_of_settings_are_named_one_by_one_where_they_differ(tmp_path: Path) -> None:
    folder = tmp_path / "resume"
    began = {"net": {"kinds": 5, "embedding": 8, "hidden": 8, "seed": 3, "names": [*"abcdefghijklmnop"]}, "seeds": {}}
    TrainingState(Net(), SETTINGS, began).save(folder)

    def said(**other: Any) -> str:
        with pytest.raises(ModelError) as refused:
            TrainingState.load(folder, Net(), SETTINGS, began | {"net": began["net"] | other})
        return refused.value.what

    assert said(hidden=4) == "'hidden' was 8 when the training began, and is now 4"
    assert said(seed=4) == "'net.seed' was 3 when the training began, and is now 4"  # there is another one
    assert said(hidden=4, embedding=4) == (
        "'embedding' was 8 when the training began, and is now 4; 'hidden' was 8, and is now 4"
    )
    assert said(kinds=1, hidden=1, embedding=1, seed=1).endswith("; and 1 more")
    was, is_ = (
        said(names=[*"abcdefghijklmnoq"]).removeprefix("'names' was ").split(" when the training began, and is now ")
    )
    assert (was[-4:], is_[-4:]) == ("'p']", "'q']")
    TrainingState.load(folder, Net(), SETTINGS, began)


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
from training_task import SETTINGS, Task
from seqcli.core.training import Signals, fit
from seqcli.errors import Interrupted
import torch
torch.set_num_threads(1)
task = Task(SETTINGS)
def step(index, carried):
    print("step", flush=True)
    while task.state.step == 4 and signals.received is None:
        time.sleep(0.01)
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
        for _ in itertools.islice(process.stdout, 8):  # the eighth batch is of the fifth step
            pass
        process.send_signal(number)
        assert process.wait(60) == code
    resumed = Task(SETTINGS, tmp_path / "resume")
    assert resumed.state.step == 5
    assert same_weights(Task(SETTINGS).run(), resumed.run())
