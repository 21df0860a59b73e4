"""The training loop: a generator of records that never prints and never saves by itself.

    state = TrainingState(model, settings, fingerprint)
    with Signals() as signals:
        try:
            for record in fit(state, batches, step, validate=validate, signals=signals):
                if record.save_due:
                    state.save(out / "resume")      # where is the caller's business
        except Interrupted:
            state.save(out / "resume")
            raise
    weights = state.weights()                       # the best ones, for checkpoint.save

A room gives its batches and says what one step computes; clipping, the learning rate, truncated backpropagation with
carried state, early stopping, the time limit and the exact continuation of a run that was stopped are here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import asdict, dataclass
from itertools import chain, islice, repeat
from typing import Any, NoReturn, TypeVar

import torch  # noqa: TID253 - a file about training; only commands that train import it
from torch.optim.adamw import adamw  # noqa: TID253 - see _Loop.update

from seqcli.core import device as devices
from seqcli.core.signals import Signals
from seqcli.core.training_state import FitSettings, RandomState, TrainingState, detach, seed_everything
from seqcli.errors import DivergedError, InputError

__all__ = ["Epoch", "FitSettings", "Signals", "TrainingState", "fit", "learning_rate", "seed_everything"]

Batch = TypeVar("Batch")

_TIME_MARGIN = 0.92  # of the time limit is planned; the machine may be busier later than while it was measured
_SURE = 0.5  # of the time limit, until which a slow machine may only have been slow for a moment
_MEASURE_SECONDS = 3.0  # or a thirtieth of the time limit, if that is less


@dataclass(frozen=True)
class Epoch:
    """What happened in an epoch, or so far in it when ``complete`` is false (a chance to save in a long one)."""

    epoch: int  # from 1
    step: int  # optimizer steps since the start
    planned_steps: int
    train_loss: float  # mean over the epoch's steps
    validation: float | None  # what validate() returned; lower is better
    learning_rate: float  # of the last step
    gradient_norm: float  # mean over the steps, before clipping
    clipped: float  # share of the steps whose gradient was clipped, 0 to 1
    seconds: float  # of training since the start, a resumed run counted as one
    per_second: float | None  # examples (or tokens), when fit was told how to count them
    best: bool  # the weights of this epoch are the best so far
    complete: bool
    save_due: bool  # the last record, or save_every seconds have passed since this was last true
    stopped: str | None  # on the last record: steps, patience or time

    def row(self) -> dict[str, Any]:
        """Give the record of a whole epoch as a line of history.jsonl."""
        return {name: value for name, value in asdict(self).items() if name not in ("complete", "save_due")}


def learning_rate(settings: FitSettings, step: int, planned_steps: int) -> float:
    """Give the learning rate of the 0-based ``step``: linear warm-up, then constant, linear or cosine to zero.

    ``cosine`` with a warm-up of 0.3 is Smith and Topin's one-cycle policy (2018, arXiv:1708.07120) in shape.
    """
    warm = round(settings.warmup * planned_steps)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, planned_steps - warm))
    shape = {"constant": 1.0, "linear": 1.0 - progress, "cosine": 0.5 + 0.5 * math.cos(math.pi * progress)}
    return settings.learning_rate * shape[settings.schedule]


def fit(
    state: TrainingState,
    batches: Callable[[int], Iterable[Batch]],
    step: Callable[[Batch, Any], tuple[torch.Tensor, Any]],
    *,
    validate: Callable[[], float] | None = None,
    signals: Signals | None = None,
    size: Callable[[Batch], int] | None = None,
    rates: Callable[[str, float], float] | None = None,
    report_every: float = 1.0,
    save_every: float = 60.0,
) -> Iterator[Epoch]:
    """Train ``state.model`` and yield a record after every epoch, and within it about every ``report_every`` seconds.

    ``batches(epoch)`` gives the batches of the 0-based epoch and must depend on nothing but that number.
    ``step(batch, carried)`` returns the batch's mean loss (a scalar) and the recurrent state to carry into the next
    batch: a tensor, a tuple of such, or None to begin afresh. What is carried is detached, so gradients end at the
    batch's edge (truncated backpropagation through time); an epoch begins with None. ``validate()`` is called in
    eval mode after every epoch, lower is better. ``size(batch)`` counts examples or tokens, for the speed.
    ``rates(name, progress)`` is what the learning rate is multiplied by for the parameter of that name, once that share
    of the planned steps is behind us; a parameter with 0 stays as it is. A record says when ``save_every`` seconds have
    passed since a save was last due.

    At every yield, and when it raises, ``state`` is consistent and can be saved. At the end the model holds the best
    weights (without ``validate``: the last). Raises Interrupted after the step during which ``signals`` noticed
    something, DivergedError when loss, gradient or validation is not finite, InputError when there are no batches.
    """
    loop = _Loop(state, step, validate, signals, size=size, rates=rates, every=(report_every, save_every))
    if state.random is None:
        state.planned_steps = state.first_plan = loop.plan(batches)
        seed_everything(state.settings.seed)
        state.random = RandomState.capture()
    while state.stopped is None:
        iterator = iter(batches(state.epoch))
        next(islice(iterator, state.position, state.position), None)  # a resumed run goes on where it stopped
        state.random.restore()
        state.model.train()
        while not loop.at_end() and (group := list(islice(iterator, state.settings.accumulate))):
            loop.train(group)
            loop.keep_to_time()
            loop.heed_signals()
            if loop.report_due():
                yield from loop.pause(loop.record(complete=False))
        yield from loop.pause(loop.end_epoch())
        loop.heed_signals()


class _Loop:
    """One call of fit: what it needs besides the state, and its single moves."""

    def __init__(
        self,
        state: TrainingState,
        step: Callable[[Any, Any], tuple[torch.Tensor, Any]],
        validate: Callable[[], float] | None,
        signals: Signals | None,
        *,
        size: Callable[[Any], int] | None,
        rates: Callable[[str, float], float] | None,
        every: tuple[float, float],
    ) -> None:
        self.state, self.step, self.validate, self.signals, self.size = state, step, validate, signals, size
        self.rates = rates or (lambda _name, _progress: 1.0)
        self.measuring = False
        self.device = next(iter(state.parameters.values())).device
        count = sum(parameter.numel() for parameter in state.parameters.values())
        self.bf16 = devices.gains_by_bf16(self.device, state.settings.precision, count)
        self.report_every, self.save_every = every
        self.reported = self.saved = self.clock = time.perf_counter()

    def plan(self, batches: Callable[[int], Iterable[Batch]]) -> int:
        """Fix the number of steps before the first one, for the learning rate's schedule hangs on it.

        With a time limit the first steps are taken for their speed and then undone, so that the run is exactly the
        one that the same number of steps would give without a limit.
        """
        settings = self.state.settings
        first = batches(0)
        count = len(first) if isinstance(first, Sized) else sum(1 for _ in first)
        if count == 0:
            raise InputError("training", "not one batch of training data", "give more data, or a smaller --batch-size")
        per_epoch = math.ceil(count / settings.accumulate)
        planned = settings.steps or settings.epochs * per_epoch
        if settings.max_minutes is None:
            return planned
        seconds = settings.max_minutes * 60
        weights = {name: value.clone() for name, value in self.state.model.state_dict().items()}
        self.state.planned_steps = planned
        per_step, per_validation = self._measure(batches, min(_MEASURE_SECONDS, seconds / 30), planned // 10)
        self.state.model.load_state_dict(weights)
        self.state.restart()
        self._heed()
        self.state.measured = self._lap()
        left = seconds * _TIME_MARGIN - self.state.measured
        return max(1, min(planned, int(left / (per_step + per_validation / per_epoch))))

    def _measure(self, batches: Callable[[int], Iterable[Batch]], seconds: float, steps: int) -> tuple[float, float]:
        """Seconds for a step, without the first, which warms up, and for one validation."""
        self.state.model.train()
        self.measuring = True
        endless = chain.from_iterable(map(batches, repeat(0)))
        times = [time.perf_counter()]
        while not self._signalled():
            self.train(list(islice(endless, self.state.settings.accumulate)))
            times.append(time.perf_counter())
            total = times[-1] - times[0]
            if (len(times) > 4 and (total > seconds or len(times) > steps)) or total > 8 * seconds:
                break
        self.measuring = False
        timed = times[1:] if len(times) > 2 else times
        start = time.perf_counter()
        self._validation()
        return (timed[-1] - timed[0]) / max(1, len(timed) - 1), time.perf_counter() - start

    def train(self, group: list[Any]) -> None:
        """Take one optimizer step over the mean gradient of a group of batches."""
        state, settings = self.state, self.state.settings
        progress = 1.0 if self.measuring else state.step / state.planned_steps  # measured is what costs the most
        factors = {name: self.rates(name, progress) for name in state.parameters}
        for name, parameter in state.parameters.items():
            parameter.requires_grad_(factors[name] > 0)
        total = torch.zeros((), device=self.device)
        for batch in group:
            with devices.autocast(self.device, bf16=self.bf16):
                loss, carried = self.step(batch, state.carried)
            state.carried = detach(carried)
            (loss / len(group)).backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
            total += loss.detach() / len(group)
            state.tally["examples"] += self.size(batch) if self.size else 0
        limit = settings.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), limit)
        loss_value, norm_value = torch.stack([total, norm.to(total)]).tolist()  # both at once: a GPU waits here
        rate = learning_rate(settings, state.step, state.planned_steps)
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            self._diverge("the gradient" if math.isfinite(loss_value) else "the loss", rate)
        self._update({name: rate * factor for name, factor in factors.items()})
        state.step += 1
        state.position += len(group)
        for key, value in (("loss", loss_value), ("norm", norm_value), ("clipped", norm_value > limit), ("steps", 1)):
            state.tally[key] += value

    def keep_to_time(self) -> None:
        """Plan fewer steps where the machine has become slower than the plan can bear.

        A learning rate that has come down to its end is worth more than the steps that a cut-off run would have taken
        at a higher one.
        """
        state, minutes = self.state, self.state.settings.max_minutes
        if minutes is None:
            return
        limit, spent = 60 * minutes, self._lap()
        pace = state.step / max(spent - state.measured, 1e-9)  # steps a second until now
        possible = int(state.step + pace * (limit - spent))
        if spent > _SURE * limit and possible < state.planned_steps:
            state.planned_steps = max(state.step, possible)

    def at_end(self) -> bool:
        """Whether the last step is done, or the time is up."""
        limit = self.state.settings.max_minutes
        return self._all_steps_done() or (limit is not None and self._lap() >= limit * 60)

    def _all_steps_done(self) -> bool:
        planned = self.state.planned_steps
        return self.state.step >= min(planned, self.state.settings.stop_step or planned)

    def end_epoch(self) -> Epoch:
        """Validate, keep the weights if they are the best, and decide whether to go on."""
        state, settings = self.state, self.state.settings
        value = self._validation()
        margin = 1 + settings.tolerance
        best = value is None or state.best_validation is None or value < state.best_validation * margin
        if best:
            state.keep_best(value)
        else:
            state.epochs_without_gain += 1
        if self._all_steps_done():
            state.stopped = "steps" if state.planned_steps == state.first_plan else "time"
        elif self.at_end():
            state.stopped = "time"
        elif value is not None and 0 < settings.patience <= state.epochs_without_gain:
            state.stopped = "patience"
        record = self.record(validation=value, best=best)
        state.history.append(record.row())
        state.begin_epoch()
        if state.stopped is not None:
            state.load_best()
        return record

    def record(self, *, validation: float | None = None, best: bool = False, complete: bool = True) -> Epoch:
        """Sum up the epoch so far."""
        state, tally = self.state, self.state.tally
        self._lap()
        steps = max(1.0, tally["steps"])
        spent = state.seconds - tally["began"]
        return Epoch(
            epoch=state.epoch + 1,
            step=state.step,
            planned_steps=state.planned_steps,
            train_loss=tally["loss"] / steps,
            validation=validation,
            learning_rate=learning_rate(state.settings, max(0, state.step - 1), state.planned_steps),
            gradient_norm=tally["norm"] / steps,
            clipped=tally["clipped"] / steps,
            seconds=state.seconds,
            per_second=tally["examples"] / spent if self.size and spent > 0 else None,
            best=best,
            complete=complete,
            save_due=state.stopped is not None or time.perf_counter() - self.saved > self.save_every,
            stopped=state.stopped,
        )

    def pause(self, record: Epoch) -> Iterator[Epoch]:
        """Yield a record; neither the caller's time nor the random numbers it draws belong to the training."""
        self._lap()
        self.state.random = RandomState.capture()
        yield record
        self.state.random.restore()
        self.state.model.train(self.state.stopped is None)
        self.reported = self.clock = time.perf_counter()
        if record.save_due:
            self.saved = self.clock

    def report_due(self) -> bool:
        """Whether the caller has heard nothing for long."""
        return time.perf_counter() - self.reported > self.report_every

    def heed_signals(self) -> None:
        """Raise Interrupted if a signal was noticed, with a state that can be saved."""
        if self._signalled():
            self._lap()
            self.state.random = RandomState.capture()
            self._heed()

    def _signalled(self) -> bool:
        return self.signals is not None and self.signals.received is not None

    def _heed(self) -> None:
        if self.signals is not None:
            self.signals.heed(f"after step {self.state.step} of {self.state.planned_steps}")

    def _lap(self) -> float:
        """Add the time since the last look at the clock to the training's seconds, and give their sum."""
        now = time.perf_counter()
        self.state.seconds += now - self.clock
        self.clock = now
        return self.state.seconds

    def _update(self, rates: dict[str, float]) -> None:
        """Move the weights by AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), and their average after them.

        PyTorch's function, not its class: the class imports torch._dynamo, which takes a second.
        """
        state, settings = self.state, self.state.settings
        moving = [(name, value) for name, value in state.parameters.items() if value.grad is not None]
        groups: dict[tuple[float, float], list[tuple[str, torch.Tensor, torch.Tensor | None]]] = {}
        for name, value in moving:
            alike = (rates[name], settings.weight_decay if _decays(name, value) else 0.0)
            groups.setdefault(alike, []).append((name, value, value.grad))
        for (rate, decay), part in groups.items():
            with torch.no_grad():
                adamw(
                    [value for _, value, _ in part],
                    [gradient for _, _, gradient in part if gradient is not None],
                    [state.moment1[name] for name, _, _ in part],
                    [state.moment2[name] for name, _, _ in part],
                    [],
                    [state.updates[name] for name, _, _ in part],
                    fused=self.device.type in ("cpu", "cuda"),
                    amsgrad=False,
                    beta1=0.9,
                    beta2=0.999,
                    lr=rate,
                    weight_decay=decay,
                    eps=1e-8,
                    maximize=False,
                )
        # A young average follows the weights closely, or the random start would stay in it for long.
        momentum = min(settings.average, (1 + state.step) / (10 + state.step))
        for name, mean in state.average.items():
            mean.lerp_(state.parameters[name].detach(), 1 - momentum)
        for _, value in moving:
            value.grad = None

    def _validation(self) -> float | None:
        """Call validate() on the weights that would be kept."""
        if self.validate is None:
            return None
        self.state.model.eval()
        with torch.no_grad(), self.state.averaged():
            value = float(self.validate())
        self.state.model.train()
        if not math.isfinite(value):
            rate = learning_rate(self.state.settings, max(0, self.state.step - 1), self.state.planned_steps)
            self._diverge("the validation loss", rate)
        return value

    def _diverge(self, what: str, rate: float) -> NoReturn:
        """Leave the last good weights in the model and raise DivergedError."""
        state = self.state
        # Before the first validation, the weights from which the bad step would have gone are the last good ones.
        untouched = what != "the validation loss" and state.best_validation is None
        if untouched and all(bool(value.isfinite().all()) for value in state.parameters.values()):
            state.keep_best(None)
        for value in state.parameters.values():
            value.grad = None
        state.load_best()
        state.model.eval()
        message = f"{what} is not a finite number after step {state.step} of {state.planned_steps}"
        message += f" (learning rate {rate:.3g}); the last good weights are those of step {state.best_step}"
        raise DivergedError("training", message, f"try --learning-rate {state.settings.learning_rate / 10:g}")


def _decays(name: str, value: torch.Tensor) -> bool:
    return value.ndim > 1 and "bias" not in name.rpartition(".")[2]
