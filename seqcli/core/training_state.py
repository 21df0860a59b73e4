"""What a training is made of: its settings, and everything it needs to go on as if it had never stopped.

A stopped training lies in the ``resume/`` folder of its model, as safetensors and JSON. Continued with the same
settings, data and number of threads, it ends with the same weights, bit for bit on a CPU.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253 - a file about training; only commands that train import it

from seqcli.core import files
from seqcli.core.safe_formats import HINT, dump_json, dump_tensors, read_json, read_tensors, tensor_shapes
from seqcli.errors import ModelError, UsageError

SCHEDULES = ("constant", "linear", "cosine")
_FORMAT = 1
_COUNTERS = ("loss", "norm", "clipped", "steps", "examples", "began")


@dataclass(frozen=True)
class FitSettings:
    """How to train. Two runs with equal settings, data, initial weights and threads give equal weights.

    ``steps`` overrides ``epochs``; ``stop_step`` ends the run there while the schedule still aims at ``steps``.
    ``max_minutes`` lowers the planned steps to what fits, and again where the machine becomes slower. ``warmup`` is a
    share of the steps. ``clip_norm`` and ``patience`` (epochs without a gain on validation) are off at 0. ``tolerance``
    is the share by which a later epoch may be worse on validation and still be kept: less than that is noise, and a
    schedule that has ended is worth more. ``average`` is the decay of an exponential moving average of the weights,
    which then is what is validated and kept; 0 for none. ``accumulate`` batches make one step. Weights decay, biases do
    not. Raises UsageError for a value out of range.
    """

    epochs: int = 10
    steps: int | None = None
    stop_step: int | None = None
    max_minutes: float | None = None
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    accumulate: int = 1
    patience: int = 0
    tolerance: float = 0.0
    average: float = 0.0
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "epochs": self.epochs >= 1,
            "steps": self.steps is None or self.steps >= 1,
            "stop_step": self.stop_step is None or self.stop_step >= 1,
            "max_minutes": self.max_minutes is None or 0 < self.max_minutes < math.inf,
            "learning_rate": 0 < self.learning_rate < math.inf,
            "schedule": self.schedule in SCHEDULES,
            "warmup": 0 <= self.warmup <= 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "clip_norm": 0 <= self.clip_norm < math.inf,
            "accumulate": self.accumulate >= 1,
            "patience": self.patience >= 0,
            "tolerance": 0 <= self.tolerance < 1,
            "average": 0 <= self.average < 1,
            "seed": 0 <= self.seed < 2**32,
        }
        for name, fine in checks.items():
            if not fine:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(
                    flag, f"{getattr(self, name)!r} is out of range", f"leave out {flag} for the usual value"
                )


@dataclass(frozen=True)
class RandomState:
    """Where the random numbers of Python, NumPy and PyTorch stand."""

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    cpu: torch.Tensor
    cuda: tuple[torch.Tensor, ...]

    @classmethod
    def capture(cls) -> RandomState:
        """Read the three generators (and those of the GPUs in use)."""
        cuda = tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]  # so in PyTorch
        numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002 - a room or library may draw from the global one
        assert isinstance(numpy_state, tuple)
        return cls(random.getstate(), numpy_state, torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Put the generators back to where they stood."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002 - see capture
        torch.set_rng_state(self.cpu)
        for index, state in enumerate(self.cuda[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, index)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global random numbers; call it before the model is built."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - a room or library may draw from the global one
    torch.manual_seed(seed)


def detach(carried: Any) -> Any:
    """Cut a carried recurrent state (a tensor, a tuple of such, None) off from the graph that made it."""
    if isinstance(carried, torch.Tensor):
        # NumPy, which writes the state to disk, has no bfloat16.
        return carried.detach().float() if carried.dtype == torch.bfloat16 else carried.detach()
    return tuple(detach(part) for part in carried) if isinstance(carried, (tuple, list)) else carried


class TrainingState:
    """A training under way: the model, the optimizer's moments, and where it stands.

    ``fingerprint`` holds what must be equal for a run to be continued, besides the settings: the data's hash, the
    net's sizes and so on, as plain JSON values. The attributes are read by callers and written by ``fit``.
    """

    def __init__(
        self, model: torch.nn.Module, settings: FitSettings, fingerprint: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.settings = settings
        self.fingerprint = dict(fingerprint or {})
        self.parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.planned_steps = 0
        self.first_plan = 0  # steps; more than planned_steps once there is no longer time for all of them
        self.seconds = 0.0  # of training, without what the caller does between two records
        self.measured = 0.0  # seconds of them, before the first step, in which the speed was measured
        self.stopped: str | None = None  # why it ended: steps, patience or time
        self.history: list[dict[str, Any]] = []  # the records of whole epochs
        self.random: RandomState | None = None
        self.restart()

    def restart(self) -> None:
        """Go back to step 0 with the model's weights of now; the seconds spent stay spent."""
        zeros = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.moment1 = zeros
        self.moment2 = {name: value.clone() for name, value in zeros.items()}
        self.updates = {name: torch.zeros((), device=value.device) for name, value in zeros.items()}
        weights = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.average = weights if self.settings.average else {}
        self.step = 0  # optimizer steps taken
        self.epoch = 0  # whole epochs behind us
        self.position = 0  # batches of this epoch behind us
        self.carried: Any = None
        self.tally = dict.fromkeys(_COUNTERS, 0.0) | {"began": self.seconds}
        self.best_validation: float | None = None
        self.best_step = 0
        self.epochs_without_gain = 0
        self.best = self._current()

    def begin_epoch(self) -> None:
        """Move to the start of the next epoch."""
        self.epoch += 1
        self.position = 0
        self.carried = None
        self.tally = dict.fromkeys(_COUNTERS, 0.0) | {"began": self.seconds}

    def keep_best(self, validation: float | None) -> None:
        """Remember the weights of now (the averaged ones, if there are such) as the best."""
        self.best = self._current()
        self.best_step, self.epochs_without_gain = self.step, 0
        if validation is not None:  # the lowest so far, or many small losses would add up
            self.best_validation = min(validation, self.best_validation or validation)

    def load_best(self) -> None:
        """Put the best weights into the model."""
        self.model.load_state_dict(self.best)

    def weights(self) -> dict[str, np.ndarray]:
        """Give the best weights so far as arrays, for a model folder: by validation, or else the latest epoch's."""
        return {name: value.cpu().numpy() for name, value in self.best.items()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model hold the averaged weights for the length of a block."""
        if not self.average:
            yield
            return
        current = {name: value.detach().clone() for name, value in self.parameters.items()}
        self._fill(self.average)
        try:
            yield
        finally:
            self._fill(current)

    def save(self, folder: Path) -> None:
        """Write everything to ``folder`` (``resume/`` of the model folder), replacing it whole.

        Raises MachineError when the disk is full or not writable.
        """
        carried: list[torch.Tensor] = []
        facts = {
            "format": _FORMAT,
            "fixed": self._fixed(),
            "planned_steps": self.planned_steps,
            "first_plan": self.first_plan,
            "seconds": self.seconds,
            "measured": self.measured,
            "stopped": self.stopped,
            "step": self.step,
            "epoch": self.epoch,
            "position": self.position,
            "tally": self.tally,
            "best_validation": self.best_validation,
            "best_step": self.best_step,
            "epochs_without_gain": self.epochs_without_gain,
            "history": self.history,
            "carried": _pack(self.carried, carried),
        }
        tensors = {
            f"{group}/{name}": value for group, members in self._groups().items() for name, value in members.items()
        } | {f"carried/{index}": value for index, value in enumerate(carried)}
        arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
        if self.random is not None:
            version, numbers, gauss = self.random.python
            name, keys, *rest = self.random.numpy
            facts["random"] = {"python": [version, gauss], "numpy": [name, *rest], "cuda": len(self.random.cuda)}
            arrays["random/python"] = np.array(numbers, dtype=np.uint32)
            arrays["random/numpy"] = keys
            arrays["random/torch"] = self.random.cpu.numpy()
            arrays |= {f"random/cuda{index}": value.numpy() for index, value in enumerate(self.random.cuda)}
        with files.new_folder(folder, overwrite=True) as new:
            (new / "state.safetensors").write_bytes(dump_tensors(arrays))
            (new / "state.json").write_text(dump_json(facts), encoding="utf-8")

    @classmethod
    def load(
        cls,
        folder: Path,
        model: torch.nn.Module,
        settings: FitSettings,
        fingerprint: Mapping[str, Any] | None = None,
    ) -> TrainingState:
        """Read a stopped training back into ``model``, a net built like the one that was trained.

        Raises ModelError when the folder is missing or damaged, or when settings or fingerprint are not those of
        the stopped run; the message names what differs.
        """
        state = cls(model, settings, fingerprint)
        files.recover(folder)
        if not folder.is_dir():
            raise ModelError(str(folder), "no training to resume", "start it without --resume")
        facts = read_json(folder / "state.json", dict)
        if facts.get("format") != _FORMAT:
            raise ModelError(str(folder), f"made by another seqcli (format {facts.get('format')!r})", _ANEW)
        _same(folder, facts.get("fixed"), state._fixed())
        state._check_shapes(folder / "state.safetensors")
        arrays = read_tensors(folder / "state.safetensors", finite=False)
        try:
            state._take(facts, arrays)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError, AssertionError) as error:
            raise ModelError(str(folder), f"is damaged ({type(error).__name__}: {str(error)[:80]!r})", HINT) from error
        return state

    def _take(self, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        for group, members in self._groups().items():
            with torch.no_grad():
                for name, value in members.items():
                    value.copy_(torch.from_numpy(arrays[f"{group}/{name}"]))
        for name, kind in _PLAIN.items():
            setattr(self, name, kind(facts[name]))
        self.stopped, self.history = facts["stopped"], [dict(row) for row in facts["history"]]
        self.tally = {name: float(facts["tally"][name]) for name in _COUNTERS}
        best = facts["best_validation"]
        self.best_validation = None if best is None else float(best)
        device = next(iter(self.parameters.values())).device
        self.carried = _unpack(facts["carried"], lambda index: torch.from_numpy(arrays[f"carried/{index}"]).to(device))
        if "random" in facts:
            version, gauss = facts["random"]["python"]
            name, *rest = facts["random"]["numpy"]
            self.random = RandomState(
                python=(version, tuple(arrays["random/python"].tolist()), gauss),
                numpy=(name, arrays["random/numpy"], *rest),
                cpu=torch.from_numpy(arrays["random/torch"]),
                cuda=tuple(torch.from_numpy(arrays[f"random/cuda{i}"]) for i in range(facts["random"]["cuda"])),
            )
            self.random.restore()  # a damaged one is found here, not in the middle of fit

    def _groups(self) -> dict[str, Mapping[str, torch.Tensor]]:
        """All tensors that belong to the run, by what they are."""
        return {
            "model": self.model.state_dict(),
            "best": self.best,
            "average": self.average,
            "moment1": self.moment1,
            "moment2": self.moment2,
            "updates": self.updates,
        }

    def _check_shapes(self, file: Path) -> None:
        """Refuse tensors that are not this net's before they are read."""
        found = tensor_shapes(file)
        for group, members in self._groups().items():
            for name, value in members.items():
                if found.get(f"{group}/{name}") != tuple(value.shape):
                    what = f"tensor '{group}/{name}' has shape {found.get(f'{group}/{name}')}, not {tuple(value.shape)}"
                    raise ModelError(str(file), what, HINT)

    def _current(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in (self.model.state_dict() | self.average).items()}

    def _fill(self, weights: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in weights.items():
                self.parameters[name].copy_(value)

    def _fixed(self) -> dict[str, Any]:
        fixed: dict[str, Any] = asdict(self.settings) | self.fingerprint
        return fixed


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "planned_steps": int,
    "first_plan": int,
    "seconds": float,
    "measured": float,
    "step": int,
    "epoch": int,
    "position": int,
    "best_step": int,
    "epochs_without_gain": int,
}
_TOLD, _SHOWN = 3, 40  # settings that a message names, characters of a value
_ANEW = "repeat the command with the settings and data it began with, or start anew with --overwrite"


def _same(folder: Path, before: Any, now: dict[str, Any]) -> None:
    """Refuse to go on with a run that was begun differently, naming the settings that differ."""
    if not isinstance(before, dict):
        raise ModelError(str(folder), "is damaged (it does not say how it was begun)", HINT)
    old, new = _leaves(before), _leaves(json.loads(dump_json(now)))
    paths = list(dict.fromkeys([*new, *old]))
    last_names = [path[-1] for path in paths]
    when = " when the training began"
    told: list[str] = []
    for path in paths:
        was, is_ = old.get(path), new.get(path)
        if was != is_:
            name = path[-1] if last_names.count(path[-1]) == 1 else ".".join(path)
            was, is_ = _cut(repr(was), repr(is_))
            told.append(f"{name[:40]!r} was {was}{when if not told else ''}, and is now {is_}")
    if told:
        more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
        raise ModelError(str(folder), "; ".join(told[:_TOLD] + more), _ANEW)


def _leaves(settings: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """All values that are no mapping, each by the names on the way to it."""
    leaves: dict[tuple[str, ...], Any] = {}
    for name, value in settings.items():
        leaves |= _leaves(value, (*above, name)) if value and isinstance(value, dict) else {(*above, name): value}
    return leaves


def _cut(one: str, other: str) -> tuple[str, str]:
    """Two values that differ, each short enough for a message, and the place where they begin to differ in it."""
    same = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = 0 if same < _SHOWN - 10 else same - 10
    dots = "…" if start else ""
    return dots + one[start : start + _SHOWN], dots + other[start : start + _SHOWN]


def _pack(carried: Any, tensors: list[torch.Tensor]) -> Any:
    """Describe a carried state in JSON, an index for each tensor, which goes into ``tensors``."""
    if isinstance(carried, torch.Tensor):
        tensors.append(carried)
        return len(tensors) - 1
    return [_pack(part, tensors) for part in carried] if isinstance(carried, tuple) else None


def _unpack(spec: Any, tensor: Callable[[int], torch.Tensor]) -> Any:
    if isinstance(spec, int):
        return tensor(spec)
    return tuple(_unpack(part, tensor) for part in spec) if isinstance(spec, list) else None
