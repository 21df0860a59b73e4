"""Makes a forecaster: fits it, measures it on days that it never saw, fits it again through the end, saves it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from seqcli.core import checkpoint, clock
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.errors import InputError, ModelError
from seqcli.forecasting import backtest, config, issue, predict
from seqcli.forecasting.config import ForecastConfig
from seqcli.forecasting.data import Panel
from seqcli.forecasting.sources import TableOptions
from seqcli.results import Progress, Result

if TYPE_CHECKING:
    from seqcli.core.training import FitSettings, Signals, TrainingState

T = TypeVar("T")

FEWEST_DAYS = 60  # below this there is nothing to learn a volatility's ways from


class TrainingFlags(Protocol):
    """What every ``train-*`` command takes, as the command line hands it over; ``None``: the default of the task."""

    cell: Any
    layers: int
    hidden: int | None
    dropout: float | None
    learning_rate: float | None
    batch_size: int | None
    clip_norm: float | None
    epochs: int | None
    steps: int | None
    max_minutes: float | None
    seed: int
    device: str
    threads: int | None

    @property
    def command(self) -> str:
        """What the user typed."""


@dataclass(frozen=True)
class Plan:
    """What is trained, on which days, and how it is judged.

    Arguments:
        config: the network's shape.
        fit: how it is trained.
        since: origins before this day shape the inputs' long averages, but are not learned from; ``None``: all are.
        holdout: last days, kept for the report; as many before them validate. 0: no report and no validation.
        refit: fit again through the end, for as many steps as validation found best.
        baselines: ``none``, ``fast`` or ``all``, in the report.
        init_from: a model folder to start from.
        device: auto, cpu, cuda or mps.
        threads: of the processor; ``None``: all.
        command: as the user typed it, for the record.
        source: where the data come from: ``rates``, or a table's name.
        table: how the table was read; remembered, so that later ones are read alike.
    """

    config: ForecastConfig
    fit: FitSettings
    batch_size: int = config.BATCH_SIZE
    since: np.datetime64 | None = None
    holdout: int = 250
    refit: bool = True
    baselines: str = "all"
    init_from: Path | None = None
    device: str = "auto"
    threads: int | None = None
    command: str = ""
    source: str = issue.RATES
    table: TableOptions = field(default_factory=TableOptions)


def plan(flags: TrainingFlags, *, quick: bool, horizon: int, members: int | None, **rest: Any) -> Plan:
    """The defaults that were chosen for the task, with what the user said instead.

    Arguments:
        flags: what every ``train-*`` command takes; ``None`` keeps the default.
        quick: a smaller model for a first look.
        horizon: business days ahead.
        members: networks that are averaged.
        rest: fields of ``Plan``.
    """
    from seqcli.core.training import FitSettings

    shape = ForecastConfig(
        cell=flags.cell,
        layers=flags.layers,
        hidden=_or(flags.hidden, ForecastConfig.hidden),
        dropout=_or(flags.dropout, ForecastConfig.dropout),
        members=_or(members, 2 if quick else ForecastConfig.members),
        horizon=horizon,
    )
    fit = FitSettings(
        epochs=_or(flags.epochs, 4 if quick else config.EPOCHS),
        steps=flags.steps,
        max_minutes=flags.max_minutes and flags.max_minutes / 2,  # there are two fits
        learning_rate=_or(flags.learning_rate, config.LEARNING_RATE),
        schedule="cosine",
        warmup=config.WARMUP,
        weight_decay=config.WEIGHT_DECAY,
        clip_norm=_or(flags.clip_norm, config.CLIP_NORM),
        precision="float32",
        seed=flags.seed,
    )
    if quick and rest["baselines"] == "all":
        rest["baselines"] = "fast"
    return Plan(
        shape,
        fit,
        _or(flags.batch_size, config.BATCH_SIZE),
        device=flags.device,
        threads=flags.threads,
        command=flags.command,
        **rest,
    )


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def train(
    panel: Panel, out: Path, plan: Plan, *, overwrite: bool = False, resume: bool = False, require_skill: bool = False
) -> Generator[Progress, None, Result]:
    """Trains a model of a panel and writes its folder; yields signs of life, returns the report.

    The model of the report is fitted on the days before the last two ``holdout``s; the first of them chooses the
    number of steps, and the second is seen by nothing but the report. An interrupted run is saved in ``resume/`` after
    the step in hand.

    Raises:
        InputError: too few days, or nothing that moves.
        ModelError: ``out`` holds something, or there is nothing to resume.
        DivergedError: the loss stopped being a number.
        Interrupted: Ctrl-C or SIGTERM.
    """
    checkpoint.check_out(out, overwrite=overwrite, resume=resume)
    cut, warnings = _split(panel, plan)
    from seqcli.core import device
    from seqcli.core.training import Signals

    chosen = device.choose("cpu" if plan.device == "auto" else plan.device)  # small networks: a GPU does not pay
    threads = device.set_threads(plan.threads)
    if not resume and ModelFolder(out).resume.exists():
        shutil.rmtree(ModelFolder(out).resume)  # --overwrite begins afresh
    with Signals() as signals:
        first = _Fit(panel, plan, cut, ModelFolder(out).resume / "fit", chosen, signals)
        state = yield from first.run("training", resume)
        reported = state.weights()
        final = state
        if cut.valid and plan.refit:
            steps = max(1, state.best_step)
            again = replace(
                plan, fit=replace(plan.fit, steps=state.planned_steps, stop_step=steps, max_minutes=None, patience=0)
            )
            second = _Fit(
                panel, again, _Cut(len(panel.dates), 0, 0), ModelFolder(out).resume / "refit", chosen, signals
            )
            final = yield from second.run("fitting through the end", resume)
        records: list[dict[str, Any]] = []
        if cut.test:
            scores = yield from _report(panel, plan, cut, reported)
            records, warnings = scores.records, (*warnings, *scores.notes)
    seen = cut.valid_end if cut.valid and not plan.refit else len(panel.dates)
    manifest = Manifest(
        kind=issue.KIND,
        created=clock.now().isoformat(timespec="seconds"),
        command=plan.command,
        seed=plan.fit.seed,
        data=_facts(panel, plan, seen, cut) | {"steps": final.step, "threads": threads},
        metrics=tuple(r for r in records if r["series"] == "all"),
    )
    report = backtest.result(records, warnings, require_skill) if records else Result((), warnings=warnings)
    card = _card(out, manifest, plan, report)
    settings = asdict(plan.config) | {
        "fit": asdict(plan.fit),
        "batch_size": plan.batch_size,
        "table": asdict(plan.table),
    }
    checkpoint.save(
        out, manifest, config=settings, tensors=final.weights(), history=final.history, card=card, overwrite=True
    )
    names = f"{len(panel.names)} series" if len(panel.names) > 3 else ", ".join(panel.names)
    saved = (
        f"Saved {out}: {plan.config.cell} of {names}, data until {panel.dates[seen - 1]}. Next: seqcli forecast {out}"
    )
    return replace(report, sentences=(*report.sentences, saved))


@dataclass(frozen=True)
class _Cut:
    """Rows of the panel: 0 … fit_end learn, fit_end … valid_end choose the number of steps, the rest is the report's."""

    fit_end: int
    valid: int
    test: int

    @property
    def valid_end(self) -> int:
        return self.fit_end + self.valid


def _split(panel: Panel, plan: Plan) -> tuple[_Cut, tuple[str, ...]]:
    """Where the days are cut; a short history gets a shorter holdout, and a warning."""
    days = len(panel.dates)
    moves = np.abs(np.diff(panel.values, axis=0)) > 0
    still = [name for name, moved in zip(panel.names, moves.any(axis=0), strict=True) if not moved]
    if days < FEWEST_DAYS + plan.config.horizon:
        raise InputError("training data", f"{days} days; at least {FEWEST_DAYS + plan.config.horizon} are needed", None)
    if len(still) == len(panel.names):
        raise InputError("training data", f"{', '.join(still[:3])} never moves: there is nothing to learn", None)
    warnings = tuple(f"{name} never moves" for name in still)
    usable = days if plan.since is None else int((panel.dates >= plan.since).sum())
    if usable < FEWEST_DAYS:
        raise InputError("training data", f"{usable} days since {plan.since}; at least {FEWEST_DAYS} are needed", None)
    holdout = min(plan.holdout, usable // 4)
    if holdout < plan.holdout:
        warnings += (f"only {usable} days: the report is on the last {holdout} of them, not {plan.holdout}",)
    if not holdout:
        return _Cut(days, 0, 0), warnings
    return _Cut(days - 2 * holdout, holdout, holdout), warnings


class _Fit:
    """One fit of the network to the first rows of a panel, which can be stopped and gone on with."""

    def __init__(self, panel: Panel, plan: Plan, cut: _Cut, folder: Path, device: Any, signals: Signals) -> None:
        from seqcli.core.training import seed_everything
        from seqcli.forecasting.chunks import Chunks
        from seqcli.forecasting.model import Forecaster

        self.plan, self.folder, self.signals = plan, folder, signals
        # What comes after is not merely masked: it is not there.
        self.chunks = Chunks.build(panel.head(cut.fit_end), plan.config, since=plan.since)
        self.valid = None
        if cut.valid:
            self.valid = Chunks.build(panel.head(cut.valid_end), plan.config, since=panel.dates[cut.fit_end])
        seed_everything(plan.fit.seed)
        self.model = Forecaster(plan.config)
        if plan.init_from is not None:
            _start_from(self.model, plan.init_from)
        self.model.to(device)
        self.fingerprint = _fingerprint(panel.head(cut.valid_end), plan)

    def run(self, stage: str, resume: bool) -> Generator[Progress, None, TrainingState]:
        """Trains to the end, from where an interrupted run stopped if there is one to resume."""
        from seqcli.core.training import TrainingState, fit
        from seqcli.errors import DivergedError, Interrupted

        if resume and self.folder.exists():
            state = TrainingState.load(self.folder, self.model, self.plan.fit, self.fingerprint)
        else:
            state = TrainingState(self.model, self.plan.fit, self.fingerprint)
        batches = self.chunks.batches(self.plan.fit.seed, self.plan.config.members, self.plan.batch_size)
        valid = self.valid
        validate = (lambda: valid.loss(self.model)) if valid is not None else None
        try:
            for epoch in fit(
                state,
                batches,
                self.chunks.step(self.model),
                validate=validate,
                signals=self.signals,
                size=lambda b: b.size,
            ):
                state.save(self.folder)
                text = f"epoch {epoch.epoch}, loss {epoch.train_loss:.5f}"
                text += f", validation {epoch.validation:.5f}" if epoch.validation is not None else ""
                yield Progress(stage, epoch.step, epoch.planned_steps, text, line=epoch.complete)
        except (Interrupted, DivergedError):
            state.save(self.folder)
            raise
        return state


def _start_from(model: Any, folder: Path) -> None:
    """A warm start: the weights of another forecaster of the same shape."""
    import torch

    tensors = issue.load(folder).tensors
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if differing := [name for name, shape in wanted.items() if name not in tensors or tensors[name].shape != shape]:
        raise ModelError(
            str(folder),
            f"has another shape: {differing[0]}",
            "give --cell, --hidden, --layers and --members as it was trained",
        )
    model.load_state_dict({name: torch.from_numpy(np.array(tensors[name])) for name in wanted})


def _report(panel: Panel, plan: Plan, cut: _Cut, weights: Any) -> Generator[Progress, None, Any]:
    """The held-out days: the model that never saw them beside the baselines."""
    known = np.isfinite(panel.values).any(axis=1)
    rows = np.arange(cut.valid_end - 1, len(panel.dates) - plan.config.horizon)
    origins = rows[known[rows]]
    levels = predict.quantiles(weights, plan.config, panel, origins)
    return (yield from backtest.report(plan.config.cell, levels, panel, origins, cut.valid_end - 1, plan.baselines))


def _fingerprint(panel: Panel, plan: Plan) -> dict[str, Any]:
    """What must be the same for a run to be gone on with."""
    digest = hashlib.sha256(panel.values.tobytes() + panel.dates.tobytes() + "\n".join(panel.names).encode())
    return {
        "data": digest.hexdigest(),
        "config": asdict(plan.config),
        "batch_size": plan.batch_size,
        "since": str(plan.since),
        "init_from": str(plan.init_from),
    }


def _facts(panel: Panel, plan: Plan, seen: int, cut: _Cut) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "source": plan.source,
        "fingerprint": _fingerprint(panel.head(seen), plan)["data"],
        "series": list(panel.names),
        "calendar": panel.calendar,
        "since": str(max(panel.dates[0], plan.since) if plan.since is not None else panel.dates[0]),
        "until": str(panel.dates[seen - 1]),
    }
    if cut.test:
        facts["report"] = {"first_origin": str(panel.dates[cut.valid_end - 1]), "until": str(panel.dates[-1])}
    return facts


def _card(out: Path, manifest: Manifest, plan: Plan, report: Result) -> str:
    """The model card: what it is, what it was trained on, how good it is, what it must not be taken for."""
    data, shape = manifest.data, plan.config
    names: list[str] = data["series"]
    lines = [
        f"# {out.resolve().name}: a forecaster made by seqcli",
        "",
        f"- Network: {shape.members} × {shape.cell}, {shape.layers} layer(s) of {shape.hidden}, 21 quantiles of the next {shape.horizon} days.",
        f"- Series: {', '.join(names[:8])}{f' and {len(names) - 8} more' if len(names) > 8 else ''}.",
        f"- Data: {data['source']}, {data['since']} to {data['until']}, calendar {data['calendar']}.",
        f"- Made: {manifest.created}, seed {manifest.seed}, with `{manifest.command}`.",
        "",
        "On days that the reported model had not seen:" if report.records else "No report was asked for (--holdout 0).",
        *(f"- {sentence}" for sentence in report.sentences),
        "",
        f"Use: `seqcli forecast {out.resolve().name}`. The quantiles describe what such days have brought; they are no advice.",
    ]
    return "\n".join(lines) + "\n"
