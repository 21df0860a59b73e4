"""Makes a forecaster: fits it, measures it on days that it never saw, fits it again through the end, saves it."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqcli.core import checkpoint, clock, files
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.errors import DivergedError, InputError, Interrupted, ModelError, UsageError
from seqcli.forecasting import backtest, issue, predict, scoring
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.plan import Cut, Plan, split
from seqcli.results import Progress, Record, Result

if TYPE_CHECKING:
    from seqcli.core.training import Signals, TrainingState

PREVIOUS = "previous"  # what a report calls the model that would be replaced
LOCK_SECONDS = 5.0  # whoever only changes a file of the model is done by then
NOISE = 0.001  # of the CRPS: two seeds of the same training differ by less


@dataclass(frozen=True)
class Place:
    """Where the model goes.

    Arguments:
        out: its folder.
        overwrite: replace the model that is there, once the new one is whole.
        resume: go on with an interrupted run.
        promote_if_better: replace it only if the new one is no worse on the held-out days.
    """

    out: Path
    overwrite: bool = False
    resume: bool = False
    promote_if_better: bool = False


def train(panel: Panel, place: Place, plan: Plan, *, require_skill: bool = False) -> Generator[Progress, None, Result]:
    """Trains a model of a panel and writes its folder; yields signs of life, returns the report.

    The model of the report is fitted on the days before the last two ``holdout``s; the first of them chooses the
    number of steps, and the second is seen by nothing but the report. An interrupted run is saved in ``resume/`` after
    the step in hand.

    Arguments:
        panel: the series.
        place: where the model goes.
        plan: what is trained, and how.
        require_skill: fail, after everything was saved, unless the model is significantly better than EWMA.

    Raises:
        UsageError: skill is required, but no day held out to show it on; or too few are.
        InputError: as ``plan.split``, or skill is required of too short a history.
        ModelError: the place holds something, or there is nothing to resume.
        DivergedError: the loss stopped being a number.
        Interrupted: Ctrl-C or SIGTERM.
    """
    out = place.out
    if require_skill and not plan.holdout:
        raise UsageError("--require-skill", "nothing to show it on with --holdout 0", "leave out one of the two")
    checkpoint.check_out(out, overwrite=place.overwrite, resume=place.resume)  # before a lock is laid beside it
    with files.lock(out, LOCK_SECONDS), _swept(out):
        checkpoint.check_out(out, overwrite=place.overwrite, resume=place.resume)
        cut, warnings = split(panel, plan)
        if require_skill and not cut.test:
            raise InputError("--require-skill", f"nothing to show it on: {warnings[-1]}", "leave it out")
        old = _previous(out, plan) if place.promote_if_better else None
        if not place.resume and ModelFolder(out).resume.exists():
            shutil.rmtree(ModelFolder(out).resume)  # --overwrite begins afresh
        try:
            reported, final = yield from _fits(panel, place, plan, cut)
        except _LostError as lost:
            if not ModelFolder(out).manifest.exists():  # a model that is there is worth more
                sad = Result((), sentences=("The training diverged: these are the last good weights.",))
                _save(out, plan, lost.state, data=_facts(panel, plan, cut.fit_end, cut), report=sad, records=())
            raise
        records: list[dict[str, Any]] = []
        if cut.test:
            try:
                scores = yield from _report(panel, plan, cut, reported.weights(), old)
            except KeyboardInterrupt as stop:  # a baseline has no step to end
                stop.add_note("the fits are saved, and --resume goes on from them")
                raise
            records, warnings = scores.records, (*warnings, *scores.notes)
        detail = backtest.Detail(plan.baselines, require_skill=require_skill)
        report = backtest.result(records, warnings, detail) if records else Result((), warnings=warnings)
        if old is not None and (worse := _worse(records, plan.config.cell)):
            shutil.rmtree(ModelFolder(out).resume, ignore_errors=True)
            return replace(report, gate=f"{worse}; {out} was kept as it is")
        seen = cut.valid_end if cut.valid and not plan.refit else len(panel.dates)
        _save(out, plan, final, data=_facts(panel, plan, seen, cut), report=report, records=records)
    names = f"{len(panel.names)} series" if len(panel.names) > 3 else ", ".join(panel.names)
    saved = f"Saved {out}: {plan.config.cell} of {names}, data until {panel.dates[seen - 1]}."
    return replace(report, sentences=(*report.sentences, f"{saved} Next: {_next(out, plan)}"))


@contextmanager
def _swept(out: Path) -> Iterator[None]:
    """Leaves no empty folder behind, such as that of a full disk: it would be in the way of the same command."""
    made = [ModelFolder(out).resume, *([] if out.exists() else [out])]
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something, or is not there
                folder.rmdir()


def _next(out: Path, plan: Plan) -> str:
    """The command that forecasts with the model: a table's model wants a table."""
    table = {issue.RATES: (), "-": ("-",)}.get(plan.source, (plan.source,))
    return shlex.join(["seqcli", "forecast", str(out), *table])


def _fits(
    panel: Panel, place: Place, plan: Plan, cut: Cut
) -> Generator[Progress, None, tuple[TrainingState, TrainingState]]:
    """The fit that the report is on, and the one through the end; one and the same where there is no second."""
    from seqcli.core import device
    from seqcli.core.training import Signals

    # These networks are small: even where there is a GPU it would wait for the processor.
    chosen = device.choose("cpu" if plan.device == "auto" else plan.device)
    device.set_threads(plan.threads)
    folder = ModelFolder(place.out).resume
    with Signals() as signals:
        session = _Session(chosen, signals, place.resume)
        first = yield from _Fit(panel, plan, cut, folder / "fit", session).run("training")
        if not (cut.valid and plan.refit):
            return first, first
        same = replace(plan.fit, steps=first.planned_steps, stop_step=max(1, first.best_step), max_minutes=None)
        again = replace(plan, fit=same)
        everything = Cut(len(panel.dates), 0, 0)
        second = _Fit(panel, again, everything, folder / "refit", session).run("fitting through the end")
        return first, (yield from second)


def _save(
    out: Path, plan: Plan, state: TrainingState, *, data: dict[str, Any], report: Result, records: Sequence[Record]
) -> None:
    import torch

    manifest = Manifest(
        kind=issue.KIND,
        created=clock.now().isoformat(timespec="seconds"),
        command=plan.command,
        seed=plan.fit.seed,
        data=data | {"steps": state.step, "planned_steps": state.planned_steps, "threads": torch.get_num_threads()},
        metrics=tuple(r for r in records if r["series"] == "all"),
    )
    settings = asdict(plan.config) | {
        "fit": asdict(plan.fit),
        "batch_size": plan.batch_size,
        "table": asdict(plan.table) | {"calendar": data["calendar"]},
    }
    checkpoint.save(
        out,
        manifest,
        config=settings,
        tensors=state.weights(),
        history=state.history,
        card=_card(out, manifest, plan, report),
        overwrite=True,
    )


def _previous(out: Path, plan: Plan) -> issue.Model | None:
    """The model that a new one would replace; ``None`` where there is none.

    Raises:
        ModelError: the two cannot be compared.
    """
    if not ModelFolder(out).manifest.exists():
        return None
    model = issue.load(out)
    if not plan.holdout or model.config.horizon != plan.config.horizon:
        what = "no held-out days" if not plan.holdout else f"it looks {model.config.horizon} days ahead"
        raise ModelError(str(out), f"cannot be compared with the new model: {what}", "leave out --promote-if-better")
    return model


def _worse(records: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """A sentence if the new model is worse than the one it would replace, by more than two seeds differ, or may be."""
    crps = {r["model"]: r["crps_ratio"] for r in records if r["series"] == "all" and r["h"] == "all"}
    if crps[name] is None or crps[PREVIOUS] is None:
        return "the held-out days are too few to compare the new model with the old one"
    ratio = crps[name] / crps[PREVIOUS]
    return f"the new model's CRPS is {ratio:.4f} of the old one's" if ratio > 1 + NOISE else None


@dataclass(frozen=True)
class _Session:
    """Where to compute, who may interrupt, and whether an interrupted run is gone on with."""

    device: Any
    signals: Signals
    resume: bool


class _Fit:
    """One fit of the network to the first rows of a panel, which can be stopped and gone on with."""

    def __init__(self, panel: Panel, plan: Plan, cut: Cut, folder: Path, session: _Session) -> None:
        from seqcli.core.training import seed_everything
        from seqcli.forecasting.chunks import Chunks
        from seqcli.forecasting.model import Forecaster

        self.plan, self.folder, self.session = plan, folder, session
        # What comes after is not merely masked: it is not there.
        self.chunks = Chunks.build(panel.head(cut.fit_end), plan.config, since=plan.since)
        self.valid = None
        if cut.valid:
            self.valid = Chunks.build(panel.head(cut.valid_end), plan.config, since=panel.dates[cut.fit_end])
        seed_everything(plan.fit.seed)
        self.model = Forecaster(plan.config)
        if plan.init_from is not None:
            _start_from(self.model, plan.init_from)
        self.model.to(session.device)
        self.fingerprint = _fingerprint(panel.head(cut.valid_end), plan)

    def run(self, stage: str) -> Generator[Progress, None, TrainingState]:
        """Trains to the end, from where an interrupted run stopped if there is one to resume."""
        from seqcli.core.training import TrainingState, fit

        if self.session.resume and self.folder.exists():
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
                signals=self.session.signals,
                size=lambda b: b.size,
            ):
                if epoch.save_due:
                    state.save(self.folder)
                text = f"epoch {epoch.epoch}, loss {epoch.train_loss:.5f}"
                text += f", validation {epoch.validation:.5f}" if epoch.validation is not None else ""
                yield Progress(stage, epoch.step, epoch.planned_steps, text, line=epoch.complete)
        except Interrupted:
            state.save(self.folder)
            raise
        except DivergedError as error:
            raise _LostError(error, state) from error
        return state


class _LostError(DivergedError):
    """A training that diverged, with the last good weights in its state."""

    def __init__(self, error: DivergedError, state: TrainingState) -> None:
        super().__init__(error.where, error.what, error.hint)
        self.state = state


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


def _report(
    panel: Panel, plan: Plan, cut: Cut, weights: Any, old: issue.Model | None
) -> Generator[Progress, None, scoring.Scores]:
    """The held-out days: the model that never saw them beside the one it would replace and the baselines."""
    known = np.asarray(np.isfinite(panel.values).any(axis=1))
    rows = np.arange(cut.valid_end - 1, len(panel.dates) - plan.config.horizon)
    origins = rows[known[rows]]
    models: dict[str, Floats] = {plan.config.cell: predict.quantiles(weights, plan.config, panel, origins)}
    if old is not None:
        models[PREVIOUS] = old.levels(panel, origins)
    return (yield from backtest.report(models, backtest.Test(panel, origins, cut.valid_end - 1, plan.baselines)))


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


def _facts(panel: Panel, plan: Plan, seen: int, cut: Cut) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "source": plan.source,
        "fingerprint": _fingerprint(panel.head(seen), plan)["data"],
        "series": list(panel.names),
        "log": panel.log.tolist(),
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
    use = _next(Path(out.resolve().name), plan)
    lines = [
        f"# {out.resolve().name}: a forecaster made by seqcli",
        "",
        f"- Network: {shape.members} × {shape.cell}, {shape.layers} layer(s) of {shape.hidden} units, "
        f"{len(shape.levels)} quantiles of each of the next {shape.horizon} days.",
        f"- Series: {', '.join(names[:8])}{f' and {len(names) - 8} more' if len(names) > 8 else ''}.",
        f"- Data: {data['source']}, {data['since']} to {data['until']}, calendar {data['calendar']}.",
        f"- Made: {manifest.created}, seed {manifest.seed}, with `{manifest.command}`.",
        "",
        "On days that the reported model had not seen:" if report.records else "No report was asked for (--holdout 0).",
        *(f"- {sentence}" for sentence in report.sentences),
        "",
        f"Use: `{use}`. The quantiles say what such days brought; they are no advice.",
    ]
    return "\n".join(lines) + "\n"
