"""Makes a forecaster: fits it, measures it on days that it never saw, fits it again through the end, saves it."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqcli.core import checkpoint, clock
from seqcli.core import place as places
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.errors import DivergedError, InputError, Interrupted, ModelError, UsageError
from seqcli.forecasting import backtest, issue, predict, promotion, scoring
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.plan import Cut, Plan, held_out, split
from seqcli.results import Progress, Record, Result

if TYPE_CHECKING:
    from seqcli.core.training import Signals, TrainingState


@dataclass(frozen=True)
class Place(places.Place):
    """Where the model goes.

    Arguments:
        promote_if_better: replace the model there only if the new one is no worse on days that it has not learnt from.
    """

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
        UsageError: skill is required, but no day held out to show it on; or too few are; or the only fit would start
            from a model that knows the held-out days.
        InputError: as ``plan.split``, or skill is required of too short a history.
        ModelError: the place holds something, or there is nothing to resume.
        DivergedError: the loss stopped being a number.
        Interrupted: Ctrl-C or SIGTERM.
    """
    out = place.out
    if require_skill and not plan.holdout:
        raise UsageError("--require-skill", "nothing to show it on with --holdout 0", "leave out one of the two")
    with place.held():
        cut, warnings = split(panel, plan)
        if require_skill and not cut.test:
            raise InputError("--require-skill", f"nothing to show it on: {warnings[-1]}", "leave it out")
        old = promotion.incumbent(out, panel, plan, cut) if place.promote_if_better else None
        donor = _donor(panel, plan, cut)
        place.begin()
        try:
            reported, final = yield from _fits(panel, place, plan, cut, donor)
        except _LostError as lost:
            if not ModelFolder(out).manifest.exists():  # a model that is there is worth more
                sad = Result((), sentences=("The training diverged: these are the last good weights.",))
                _save(out, plan, lost.state, data=_facts(panel, plan, lost.seen, cut), report=sad, records=())
            raise
        records: list[dict[str, Any]] = []
        judgement = None
        if cut.test:
            try:
                scores = yield from _report(panel, plan, cut, reported.weights())
                records, warnings = scores.records, (*warnings, *scores.notes)
                if old is not None:
                    judgement = yield from promotion.judge(
                        old, panel, cut, config=plan.config, weights=reported.weights(), records=records
                    )
            except KeyboardInterrupt as stop:  # a baseline has no step to end
                stop.add_note("the fits are saved, and --resume goes on from them")
                raise
        detail = backtest.Detail(plan.baselines, require_skill=require_skill)
        report = backtest.result(records, warnings, detail) if records else Result((), warnings=warnings)
        if donor is not None and donor.late:
            report = replace(report, sentences=(*report.sentences, donor.said))
        if judgement is not None and judgement.worse:
            shutil.rmtree(ModelFolder(out).resume, ignore_errors=True)
            return replace(report, gate=f"{judgement.said}; {out} was kept as it is")
        seen = cut.valid_end if cut.valid and not plan.refit else len(panel.dates)
        facts = _facts(panel, plan, seen, cut) | {"cut_by_time": reported.stopped == "time"}
        _save(out, plan, final, data=facts, report=report, records=records)
        if reported.stopped == "time":
            done = f"--max-minutes: the time was up after {reported.step} of {reported.first_plan} planned steps"
            report = replace(report, warnings=(*report.warnings, f"{done}; no --steps gives these weights again"))
    names = f"{len(panel.names)} series" if len(panel.names) > 3 else ", ".join(panel.names)
    saved = f"Saved {out}: {plan.config.cell} of {names}, data until {panel.dates[seen - 1]}."
    said = [f"Replaced {out}: {judgement.said}."] if judgement is not None else []
    return replace(report, sentences=(*report.sentences, *said, f"{saved} Next: {_next(out, plan)}"))


def _next(out: Path, plan: Plan) -> str:
    """The command that forecasts with the model: a table's model wants a table."""
    table = {issue.RATES: (), "-": ("-",)}.get(plan.source, (plan.source,))
    return shlex.join(["seqcli", "forecast", str(out), *table])


def _fits(
    panel: Panel, place: Place, plan: Plan, cut: Cut, donor: _Donor | None
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
        start = donor.model if donor is not None and not donor.late else None
        first = yield from _Fit(panel, plan, cut, folder / "fit", session, start=start).run("training")
        if not (cut.valid and plan.refit):
            return first, first
        same = replace(plan.fit, steps=first.planned_steps, stop_step=max(1, first.best_step), max_minutes=None)
        again = replace(plan, fit=same)
        everything = Cut(len(panel.dates), 0, 0)
        start = donor.model if donor is not None else None
        second = _Fit(panel, again, everything, folder / "refit", session, start=start).run("fitting through the end")
        return first, (yield from second)


def _save(
    out: Path, plan: Plan, state: TrainingState, *, data: dict[str, Any], report: Result, records: Sequence[Record]
) -> None:
    """Writes the folder.

    Its manifest says how to make it again: the same command with ``--steps`` and ``planned_steps`` for any limit of
    time, unless ``cut_by_time``. Such a run was planned anew, or ended in the middle of its schedule, when the
    clock said so; no option repeats that.
    """
    import torch

    manifest = Manifest(
        kind=issue.KIND,
        created=clock.now().isoformat(timespec="seconds"),
        command=plan.command,
        seed=plan.fit.seed,
        data=data | {"steps": state.step, "planned_steps": state.first_plan, "threads": torch.get_num_threads()},
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


@dataclass(frozen=True, eq=False)
class _Donor:
    """The model of a warm start.

    Arguments:
        model: as it was loaded; of the shape that is trained.
        late: whether it has learnt from days that the fit of the report must not know.
        said: the same as a sentence.
    """

    model: issue.Model
    late: bool
    said: str


def _donor(panel: Panel, plan: Plan, cut: Cut) -> _Donor | None:
    """The model to start from; ``None`` where none is named.

    Raises:
        ModelError: it has another shape, or cannot be loaded.
        UsageError: it has learnt from the days of the report, and there is no other fit that could start from it.
    """
    if plan.init_from is None:
        return None
    model, wanted = issue.load(plan.init_from), predict.shapes(plan.config)
    if differing := [n for n, shape in wanted.items() if n not in model.tensors or model.tensors[n].shape != shape]:
        raise ModelError(
            str(plan.init_from),
            f"has another shape: {differing[0]}",
            "give --cell, --hidden, --layers and --members as it was trained",
        )
    last = str(panel.dates[cut.fit_end - 1])
    late = bool(cut.valid) and model.data_until > last
    if late and not plan.refit:
        what = f"has learnt until {model.data_until}, and the report is on a model that knows nothing after {last}"
        raise UsageError(f"--init-from {plan.init_from}", what, "leave out --no-refit, or say --holdout 0")
    said = (
        f"The model of the report began from nothing, since {plan.init_from} has learnt until {model.data_until}, "
        f"after its last day {last}; only the fit through the end began from {plan.init_from}."
    )
    return _Donor(model, late, said)


@dataclass(frozen=True)
class _Session:
    """Where to compute, who may interrupt, and whether an interrupted run is gone on with."""

    device: Any
    signals: Signals
    resume: bool


class _Fit:
    """One fit of the network to the first rows of a panel, which can be stopped and gone on with."""

    def __init__(
        self, panel: Panel, plan: Plan, cut: Cut, folder: Path, session: _Session, *, start: issue.Model | None
    ) -> None:
        import torch

        from seqcli.core.training import seed_everything
        from seqcli.forecasting.chunks import Chunks
        from seqcli.forecasting.model import Forecaster

        self.plan, self.folder, self.session, self.seen = plan, folder, session, cut.valid_end
        # What comes after is not merely masked: it is not there.
        self.chunks = Chunks.build(panel.head(cut.fit_end), plan.config, since=plan.since)
        self.valid = None
        if cut.valid:
            self.valid = Chunks.build(panel.head(cut.valid_end), plan.config, since=panel.dates[cut.fit_end])
        seed_everything(plan.fit.seed)
        self.model = Forecaster(plan.config)
        if start is not None:
            tensors = {name: torch.from_numpy(np.array(start.tensors[name])) for name in self.model.state_dict()}
            self.model.load_state_dict(tensors)
        self.model.to(session.device)
        self.fingerprint = _fingerprint(panel.head(cut.valid_end), plan, session.device, start)

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
            raise _LostError(error, state, self.seen) from error
        return state


class _LostError(DivergedError):
    """A training that diverged, with the last good weights in its state, and how many rows it had seen."""

    def __init__(self, error: DivergedError, state: TrainingState, seen: int) -> None:
        super().__init__(error.where, error.what, error.hint)
        self.state, self.seen = state, seen


def _report(panel: Panel, plan: Plan, cut: Cut, weights: Any) -> Generator[Progress, None, scoring.Scores]:
    """The held-out days: the model that never saw them beside the baselines."""
    origins = held_out(panel, cut, plan.config.horizon)
    models: dict[str, Floats] = {plan.config.cell: predict.quantiles(weights, plan.config, panel, origins)}
    return (yield from backtest.report(models, backtest.Test(panel, origins, cut.valid_end - 1, plan.baselines)))


def _digest(panel: Panel) -> str:
    return hashlib.sha256(panel.values.tobytes() + panel.dates.tobytes() + "\n".join(panel.names).encode()).hexdigest()


def _fingerprint(panel: Panel, plan: Plan, device: Any, start: issue.Model | None) -> dict[str, Any]:
    """What must be the same for a run to be gone on with: all that its numbers come from, besides the settings."""
    market = hashlib.sha256(panel.currency_logs.tobytes() + "\n".join(panel.currencies).encode())
    return {
        "data": _digest(panel),
        "log": panel.log.tolist(),
        "calendar": panel.calendar,
        "currencies": market.hexdigest(),
        "config": asdict(plan.config),
        "batch_size": plan.batch_size,
        "since": str(plan.since),
        "init_from": start.manifest.id if start is not None else None,
        "device": str(device),
        "threads": plan.threads,
    }


def _facts(panel: Panel, plan: Plan, seen: int, cut: Cut) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "source": plan.source,
        "fingerprint": _digest(panel.head(seen)),
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
