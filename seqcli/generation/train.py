"""Makes a generator: counts n-grams, trains the network, chooses how both are mixed, measures, saves."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core import checkpoint, clock, seen
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.core.place import Place
from seqcli.core.seen import Seen
from seqcli.errors import DivergedError, Interrupted
from seqcli.generation import beginning, cache, ngram, report, sample
from seqcli.generation.config import GeneratorConfig
from seqcli.generation.data import Corpus
from seqcli.generation.drawing import Request
from seqcli.generation.loading import KIND, Model
from seqcli.generation.mixing import mixed, weights
from seqcli.generation.mixture import CHUNK, Mixture
from seqcli.generation.network import Network
from seqcli.generation.ngram import KneserNey
from seqcli.generation.plan import Plan
from seqcli.generation.report import Counts, Scored
from seqcli.generation.teacher import Teacher
from seqcli.results import Progress, Result

if TYPE_CHECKING:
    from seqcli.core.training import Epoch, TrainingState
    from seqcli.generation.model import LanguageModel

VALID_UNITS: Final = 100_000  # that are looked at after every epoch
WEIGHED_UNITS: Final = 1_000_000  # by which the weights of the mixture are chosen
CACHED_UNITS: Final = 20_000  # by which the cache is chosen: at each, all that it remembers is looked at
_TRAIN_UNITS: Final = 20_000  # that are scored again, to see whether they were learned by heart
_SAMPLE: Final = Request(length=200, temperature=0.8, count=4)

Floats = NDArray[np.float64]


def train(corpus: Corpus, place: Place, plan: Plan) -> Generator[Progress, None, Result]:
    """Trains a language model of a corpus and writes its folder; yields signs of life, returns the report.

    The validation part chooses the epoch that is kept and the weights of the mixture; the test part is seen by nothing
    but the report. An interrupted run is saved in ``resume/`` after the step in hand.

    Arguments:
        corpus: from ``data.prepare``.
        place: where the model goes.
        plan: what is trained, and how; from ``plan.make``.

    Raises:
        ModelError: the place holds something, or there is nothing to resume.
        DivergedError: the loss stopped being a number; the last good weights are saved.
        Interrupted: Ctrl-C or SIGTERM.
    """
    out = place.out
    with place.held():
        place.begin()
        yield Progress("counting n-grams", 0)
        began = time.process_time()
        counts = KneserNey.fit(corpus.train, len(corpus.units), plan.order)
        counted = time.process_time() - began
        fit = _Fit(corpus, plan, ModelFolder(out).resume, resume=place.resume)
        plan = replace(plan, rows=fit.streams.rows, bptt=fit.streams.bptt)  # what a short text allows
        try:
            state = yield from fit.run()
        except DivergedError:
            if not ModelFolder(out).manifest.exists():  # a model that is there is worth more
                sad = Result((), sentences=("The training diverged: these are the last good weights.",))
                config = replace(plan.config, mixture=())
                _save(out, corpus, plan, config=config, counts=counts, state=fit.state, told=sad)
            raise
        network = Network.from_tensors(plan.config, state.weights())
        try:
            scores = _Scores(corpus, plan, Mixture(network, counts), counted=counted, trained=state.seconds)
            yield from scores.measure(fit.model)
            config = scores.config()
            told = _report(corpus, config, scores)
        except KeyboardInterrupt as stop:  # what is measured has no step to end
            stop.add_note("the training is saved, and --resume goes on from there")
            raise
        if len(corpus.train) > ngram.MOST:
            said = f"the n-grams were counted in the first {ngram.MOST:,} of {len(corpus.train):,} units"
            told = replace(told, warnings=(*told.warnings, said))
        _save(out, corpus, plan, config=config, counts=counts, state=state, told=told)
        if state.stopped == "time":
            done = f"--max-minutes: the time was up after {state.step} of {state.first_plan} planned steps"
            told = replace(told, warnings=(*told.warnings, f"{done}; no --steps gives these weights again"))
    return replace(told, sentences=(*told.sentences, f"Saved {out}. Next: {_next(out)}"))


def _next(out: Path) -> str:
    return shlex.join(["seqcli", "generate", str(out)])


class _Fit:
    """The training of the network, which can be stopped and gone on with."""

    def __init__(self, corpus: Corpus, plan: Plan, folder: Path, *, resume: bool) -> None:
        from seqcli.core import device
        from seqcli.core.training import TrainingState, seed_everything
        from seqcli.generation.chunks import Streams
        from seqcli.generation.model import LanguageModel

        self.plan, self.folder, self.corpus = plan, folder, corpus
        chosen = device.choose(plan.device)
        device.set_threads(plan.threads)
        seed_everything(plan.fit.seed)
        teacher = Teacher.of(corpus.train, len(corpus.units), plan.fit.seed) if plan.taught else None
        self.streams = Streams.of(corpus.train, plan.rows, plan.bptt, plan.fit.seed, teacher)
        self.model: LanguageModel = LanguageModel(plan.config)
        if not resume:
            self._inform()
        self.model.to(chosen)
        fingerprint = {
            "corpus": corpus.fingerprint,
            "config": asdict(plan.config),
            "rows": self.streams.rows,
            "bptt": self.streams.bptt,
            "device": str(chosen),
            "threads": plan.threads,
            "spared": plan.spared,
            "taught": plan.taught,
        }
        if resume:
            self.state: TrainingState = TrainingState.load(folder, self.model, plan.fit, fingerprint)
        else:
            self.state = TrainingState(self.model, plan.fit, fingerprint)

    def _inform(self) -> None:
        """Lets the network begin with what is known of the text before any of it is read."""
        import torch

        train, config = self.corpus.train, self.plan.config
        self.model.expect(torch.from_numpy(np.bincount(train[: ngram.MOST], minlength=config.vocabulary)))
        known = beginning.embeddings(train, config.vocabulary, config.embedding, self.plan.fit.seed)
        if known.any():
            self.model.begin(torch.from_numpy(known))

    def _strength(self) -> float:
        """The share of the dropout rates that is in use."""
        planned = max(1, self.state.planned_steps)
        return self.plan.strength(self.state.step / planned, planned / len(self.streams.batches(0)))

    def run(self) -> Generator[Progress, None, TrainingState]:
        """Trains to the end, from where an interrupted run stopped if there is one to resume."""
        from seqcli.core.training import Signals, fit

        with Signals() as signals:
            try:
                for epoch in fit(
                    self.state,
                    self.streams.batches,
                    self.streams.step(self.model, self._strength, self.plan.taught),
                    validate=self._validate if len(self.corpus.valid) > 1 else None,
                    signals=signals,
                    size=lambda batch: batch.size,
                ):
                    if epoch.save_due:
                        self.state.save(self.folder)
                    text = self._said(epoch)
                    yield Progress("training", epoch.step, epoch.planned_steps, text, line=epoch.complete)
            except Interrupted:
                self.state.save(self.folder)
                raise
        return self.state

    def _validate(self) -> float:
        """Mean natural log-loss of a unit of the validation text."""
        from seqcli.generation.chunks import log_probabilities

        return -float(log_probabilities(self.model, self.corpus.valid[:VALID_UNITS], rows=8).mean(dtype=np.float64))

    def _said(self, epoch: Epoch) -> str:
        """Loss, bits per character, speed and the time that is left."""
        per_character = _units_a_character(self.corpus, "train") / math.log(2)
        said = [f"epoch {epoch.epoch}", f"loss {epoch.train_loss:.4f}"]
        if epoch.validation is not None:
            said += [f"validation {epoch.validation:.4f} ({epoch.validation * per_character:.3f} bits a character)"]
        else:
            said += [f"{epoch.train_loss * per_character:.3f} bits a character"]
        if epoch.per_second is not None:
            said.append(f"{epoch.per_second:,.0f} units a second")
        left = epoch.seconds / max(1, epoch.step) * (epoch.planned_steps - epoch.step)
        if left > 0:
            said.append(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left")
        return ", ".join(said)


class _Scores:
    """What the network, the n-grams and both together make of the validation and the test text."""

    def __init__(self, corpus: Corpus, plan: Plan, parts: Mixture, *, counted: float, trained: float) -> None:
        assert parts.ngram is not None
        self.corpus, self.plan, self.counts = corpus, plan, Counts.of(corpus, parts.ngram, counted)
        self.mixture = replace(parts, weights=(0.5,) * parts.ngram.order)
        self.counted, self.trained = counted, trained  # seconds of the processor, and of the clock
        self.scored: list[Scored] = []
        self.train_bits: float | None = None

    def measure(self, model: LanguageModel) -> Iterator[Progress]:
        """Chooses on the validation text how the parts are mixed, then scores both texts; tells how far it is."""
        from seqcli.generation.chunks import log_probabilities, scored

        plan, counts = self.plan, self.counts.ngram
        for part in ("valid", "test"):
            tokens = getattr(self.corpus, part)
            if len(tokens) < 2:
                continue
            found: list[Floats] = []
            done = 0
            for piece in scored(model, tokens):
                found.append(piece[0].astype(np.float64))
                done += len(found[-1])
                yield Progress(f"measuring {part}", done, len(tokens) - 1)
            network = np.concatenate(found)
            others = self.counts.scored(self.corpus, part)
            orders = counts.order_matched(tokens[1:])
            if part == "valid":
                some = slice(WEIGHED_UNITS)
                chosen = weights(network[some], others[0].logs[some], orders[some], counts.order)
                self.mixture = replace(self.mixture, weights=chosen)
            both = mixed(network, others[0].logs, orders, self.mixture.weights)
            if part == "valid" and plan.cache and plan.mixture:
                self._choose_cache(both, tokens, plan.cache)
            if plan.mixture:
                yield from self._mixtures(part, both, tokens)
            self.scored += [Scored(plan.config.cell, part, network, self.trained), *others]
        if not plan.mixture:
            self.mixture = self.mixture.only("network")
        again = log_probabilities(model, self.corpus.train[: _TRAIN_UNITS + 1]).mean(dtype=np.float64)
        self.train_bits = -float(again) / math.log(2) * _units_a_character(self.corpus, "train")

    def config(self) -> GeneratorConfig:
        """The network's shape, with how it is mixed."""
        chosen = self.mixture.cache or cache.Settings(0, 0.0, 0.0)
        return replace(
            self.plan.config,
            mixture=self.mixture.weights,
            cache_size=chosen.size,
            cache_theta=chosen.theta,
            cache_weight=chosen.weight,
        )

    def _choose_cache(self, logs: Floats, tokens: NDArray[np.int32], size: int) -> None:
        """By the validation text; there is none if that is no likelier with one."""
        network = self.mixture.network
        assert network is not None
        some = tokens[: CACHED_UNITS + 1]
        hidden, _ = network.before(some[None], network.start())  # (1, t, h)
        settings, _ = cache.choose(logs[: len(some) - 1], hidden[0, 1:], some[1:], size=size)
        self.mixture = replace(self.mixture, cache=settings if settings.weight else None)

    def _mixtures(self, part: str, both: Floats, tokens: NDArray[np.int32]) -> Iterator[Progress]:
        """Scores all that the saved model knows, and the same without a cache where it has one."""
        seconds = self.trained + self.counted
        if self.mixture.cache is not None:
            reading, found = self.mixture.start(), []
            for start in range(1, len(tokens), CHUNK):
                scores, reading = self.mixture.scores(reading, tokens[None, start : start + CHUNK])
                found.append(scores.mixture[0])
                yield Progress(f"measuring the cache on {part}", min(start + CHUNK, len(tokens)) - 1, len(tokens) - 1)
            self.scored.append(Scored(report.MIXTURE, part, np.concatenate(found), seconds))
        name = report.MIXTURE if self.mixture.cache is None else report.UNCACHED
        self.scored.append(Scored(name, part, both, seconds))


def _units_a_character(corpus: Corpus, part: str) -> float:
    return corpus.parts[part].tokens / max(1, corpus.parts[part].characters)


def _report(corpus: Corpus, config: GeneratorConfig, scores: _Scores) -> Result:
    model = Model(Manifest(KIND, ""), config, corpus.units, scores.mixture)
    samples = [str(row["text"]) for row in sample.texts(model, [""], _SAMPLE, sample.Tally())]
    return report.report(
        corpus,
        scores.scored,
        network=config.cell,
        train_bits=scores.train_bits,
        samples=samples,
        temperature=_SAMPLE.temperature,
    )


def _save(
    out: Path,
    corpus: Corpus,
    plan: Plan,
    *,
    config: GeneratorConfig,
    counts: KneserNey,
    state: TrainingState,
    told: Result,
) -> None:
    """Writes the folder; its manifest says how to make it again, as in the forecasting room."""
    import torch

    data = {
        "sources": list(plan.sources),
        "fingerprint": corpus.fingerprint,
        "parts": {name: asdict(part) for name, part in corpus.parts.items()},
        "steps": state.step,
        "planned_steps": state.first_plan,
        "cut_by_time": state.stopped == "time",
        "threads": torch.get_num_threads(),
    }
    manifest = Manifest(
        kind=KIND,
        created=clock.now().isoformat(timespec="seconds"),
        command=plan.command,
        seed=plan.fit.seed,
        data=data,
        metrics=told.records,
    )
    settings = asdict(config) | {
        "fit": asdict(plan.fit),
        "rows": plan.rows,
        "bptt": plan.bptt,
        "taught": plan.taught,
    }
    extra: dict[str, Any] = {ngram.FILE: counts.tensors()} if config.mixture else {}
    extra[seen.FILE] = Seen.of(corpus.lines("train")).tensors()
    checkpoint.save(
        out,
        manifest,
        config=settings,
        tensors=state.weights(),
        history=state.history,
        card=_card(out, manifest, config, told),
        documents=corpus.units.documents(),
        blobs=corpus.units.blobs(),
        extra_tensors=extra,
        overwrite=True,
    )


def _card(out: Path, manifest: Manifest, config: GeneratorConfig, told: Result) -> str:
    """The model card: what it is, what it was trained on, how good it is, what it must not be taken for."""
    name = out.resolve().name
    mixed_with = f", mixed with an n-gram model of order {len(config.mixture)}" if config.mixture else ""
    lines = [
        f"# {name}: a language model made by seqcli",
        "",
        f"- Network: {config.cell}, {config.layers} layer(s) of {config.hidden} units, embedding {config.embedding}, "
        f"{config.vocabulary:,} kinds of {config.unit}{mixed_with}.",
        f"- Corpus: {', '.join(manifest.data['sources']) or 'unnamed'}.",
        f"- Made: {manifest.created}, seed {manifest.seed}, with `{manifest.command}`.",
        "",
        *(f"- {sentence}" for sentence in told.sentences if not sentence.startswith("A sample")),
        "",
        f"Use: `{_next(Path(name))}`. What it writes is likely, not true.",
    ]
    return "\n".join(lines) + "\n"
