"""Makes a classifier: a linear model, networks that differ by chance, and how much each of the two has to say."""

from __future__ import annotations

import shlex
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from seqcli.classification import report
from seqcli.classification.config import ClassifierConfig, prefix
from seqcli.classification.data import Partition
from seqcli.classification.decision import MOST_PROBABLE, Decision, decide
from seqcli.classification.encoding import Floats
from seqcli.classification.fusion import Choice, choose, fuse
from seqcli.classification.linear import Kind, Labelled, LinearModel, Training
from seqcli.classification.material import Material, prepare
from seqcli.classification.network import log_softmax
from seqcli.classification.plan import Plan
from seqcli.classification.vectors import MATRIX, WORDS
from seqcli.core import checkpoint, clock, metrics, seen
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.core.place import Place
from seqcli.core.seen import Seen
from seqcli.errors import DivergedError
from seqcli.results import Progress, Record, Result

KIND: Final = "classifier"
KINDS: Final[tuple[Kind, ...]] = ("logistic", "svc")


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks that were trained, and what they make of the parts that they did not learn from.

    Arguments:
        tensors: of all members, by their names in the model folder.
        history: a record an epoch of each member.
        valid: mean log probabilities of the validation part, ``(n, c)``; of each text by those that have not learnt it.
        test: the same of the test part.
        late: sentences about members that the clock stopped.
    """

    tensors: dict[str, Floats]
    history: list[Record]
    valid: Floats
    test: Floats
    late: tuple[str, ...]


def train(
    partition: Partition, place: Place, plan: Plan, *, require_skill: bool = False
) -> Generator[Progress, None, Result]:
    """Trains a classifier and writes its folder; yields signs of life, returns the report.

    The validation part chooses the epoch of each network, the strength of the linear model, how much it has to say and
    the temperature: by what models make of it that have not learnt from the text in question. With ``plan.refit`` the
    model then learns from it too (see ``Plan``). The test part is seen by nothing but the report, which is on the model
    that is saved. An interrupted run is saved in ``resume/`` after the step in hand.

    Arguments:
        partition: the labelled texts, from ``data.partition``.
        place: where the model goes.
        plan: what is trained, and how; from ``plan.make``.
        require_skill: fail, after everything was saved, unless it is significantly better than the best baseline.

    Raises:
        ModelError: the place holds something, or there is nothing to resume.
        DivergedError: the loss stopped being a number; the last good weights are saved.
        Interrupted: Ctrl-C or SIGTERM.
    """
    out = place.out
    with place.held():
        place.begin()
        began = time.perf_counter()
        material = yield from prepare(partition, plan)
        plan = material.plan
        opinions = (yield from _opinions(material, plan)) if plan.fusion else {}
        try:
            trained = yield from _members(material, plan, ModelFolder(out).resume, resume=place.resume)
        except LostError as lost:
            if not ModelFolder(out).manifest.exists():  # a model that is there is worth more
                told = Result((), sentences=("The training diverged: these are the last good weights.",))
                config = replace(material.config, members=lost.members)
                _save(out, material, plan, config=config, linear=None, trained=lost.trained, told=told)
            raise
        yield Progress("choosing on the validation part", 0)
        said = {name: opinion.valid for name, opinion in opinions.items()}
        choice = choose(trained.valid, said, material.gold["valid"])
        linear = opinions[choice.linear].model(plan) if choice.linear else None
        decision = _decision(trained, choice, said, plan)
        config = replace(material.config, fusion=choice.weight, temperature=choice.temperature, **decision._asdict())
        heard = None if linear is None else _ask(linear, material, "test")
        answers = fuse(trained.test, heard, choice.weight, choice.temperature)
        seconds = time.perf_counter() - began
        others = yield from report.baselines(partition, seed=plan.fit.seed, refit=plan.refit)
        ours = report.Answers.of(config.cell, answers, seconds, decision)
        alone = [report.Answers.of(f"{config.cell}-alone", trained.test, seconds)] if linear else []
        told = report.report(partition, ours, others, material.words, parts=alone, require_skill=require_skill)
        told = replace(told, warnings=(*told.warnings, *trained.late))
        if opinions:
            told = replace(told, sentences=(*told.sentences, _said(choice)))
        told = replace(told, sentences=(*told.sentences, *_decided(decision, material.labels), _learnt(material)))
        _save(out, material, plan, config=config, linear=linear, trained=trained, told=told)
    return replace(told, sentences=(*told.sentences, f"Saved {out}. Next: {_next(out)}"))


def _next(out: Path) -> str:
    return shlex.join(["seqcli", "classify", str(out), "昨日の焼肉は最高だった"])


def _learnt(material: Material) -> str:
    """What the model that was measured has learnt from."""
    if not material.plan.refit:
        return "The saved model and the baselines learnt from the training texts alone."
    folds = 1 + int(material.folds.max())
    networks = (
        f"each network from {folds - 1} of their {folds} folds" if folds > 1 else "the networks from none of them"
    )
    return (
        "The saved model learnt from the training texts and, after the choices, from the validation texts: "
        f"{networks}, linear models and baselines from all. No test text was among them."
    )


def _said(choice: Choice) -> str:
    """Who has what to say in the answer."""
    if choice.linear is None:
        return f"The answer is the networks' alone: a linear model adds nothing; temperature {choice.temperature:.2f}."
    if choice.weight == 1:
        return f"The answer is the linear model's ({choice.linear}): the networks add nothing to it."
    return (
        f"In the answer the networks weigh {1 - choice.weight:.2f} and the linear model ({choice.linear}) "
        f"{choice.weight:.2f}; temperature {choice.temperature:.2f}."
    )


def _decision(trained: Trained, choice: Choice, linear: Mapping[str, Floats], plan: Plan) -> Decision:
    """Which label is said, from what the model makes of the validation part.

    Weighed labels make rare ones more probable than they are, and with them what is said: nothing is left to decide.
    """
    if plan.balance:
        return MOST_PROBABLE
    heard = linear[choice.linear] if choice.linear else None
    return decide(fuse(trained.valid, heard, choice.weight, choice.temperature))


def _decided(decision: Decision, labels: Sequence[str]) -> Iterator[str]:
    """How a label is said that is not the most probable."""
    if not decision.gains:
        return
    if len(labels) == 2:
        rare = int(np.argmax(decision.gains))
        least = (decision.gains[1 - rare] + decision.costs[rare] - decision.costs[1 - rare]) / sum(decision.gains)
        yield f"For macro-F1, {labels[rare]!r} is said from a probability of {least:.2f} on."
    else:
        yield "For macro-F1, rare labels are said at smaller probabilities than frequent ones."


@dataclass(frozen=True, eq=False)
class Opinion:
    """A linear model that was fitted to the training part, and its log probabilities ``(n, c)`` of the validation part.

    Arguments:
        fitted: the model, with the strength that the validation part chose.
        training: what it was fitted to.
        temperature: by which all its scores are divided.
        valid: what it says of the validation part.
    """

    fitted: LinearModel
    training: Training
    temperature: float
    valid: Floats

    def model(self, plan: Plan) -> LinearModel:
        """The model that has a say in the answer; with ``plan.refit`` it has learnt from the validation part too."""
        model = self.fitted
        if plan.refit:
            model = self.training.whole().fit(model.kind, plan.fit.seed, strength=model.strength)
        return model.calibrated(self.temperature)


def _opinions(material: Material, plan: Plan) -> Generator[Progress, None, dict[str, Opinion]]:
    """Linear models, whose strength the validation part chooses; an SVC's margins are made probabilities by it."""
    texts, gold = material.texts, material.gold
    words = {part: material.normalized(part) for part in ("train", "valid")}
    yield Progress("linear models", 0, len(KINDS), "counting n-grams")
    development = Labelled(texts["valid"], words["valid"], gold["valid"])
    training = Training(texts["train"], words["train"], gold["train"], len(material.labels), development)
    found: dict[str, Opinion] = {}
    for done, kind in enumerate(KINDS):
        yield Progress("linear models", done, len(KINDS), kind)
        fitted = training.fit(kind, plan.fit.seed)
        valid = _ask(fitted, material, "valid")
        temperature = metrics.temperature(valid, gold["valid"]) if kind == "svc" else 1.0
        found[kind] = Opinion(fitted, training, temperature, log_softmax(valid / np.float32(temperature)))
    return found


def _ask(linear: LinearModel, material: Material, part: str) -> Floats:
    return linear.log_probabilities(material.texts[part], material.normalized(part))


class LostError(DivergedError):
    """A training that diverged: how many members there are until then, and their last good weights."""

    def __init__(self, error: DivergedError, members: int, trained: Trained) -> None:
        super().__init__(error.where, error.what, error.hint)
        self.members, self.trained = members, trained


def _members(material: Material, plan: Plan, folder: Path, *, resume: bool) -> Generator[Progress, None, Trained]:
    """Trains one network after the other."""
    from seqcli.classification.fitting import Fit
    from seqcli.core import device
    from seqcli.core.training import Signals

    # These networks are small: even where there is a GPU it would wait for the processor.
    chosen = device.choose("cpu" if plan.device == "auto" else plan.device)
    device.set_threads(plan.threads)
    tensors: dict[str, Floats] = {}
    history: list[Record] = []
    late: list[str] = []
    valid: list[Floats] = []
    test: list[Floats] = []
    with Signals() as signals:
        for k in range(material.config.members):
            fit = Fit(material, plan, k, folder, chosen)
            try:
                state = yield from fit.run(signals, resume=resume)
            except DivergedError as error:
                tensors |= {prefix(k) + name: value for name, value in fit.state.weights().items()}
                nothing = np.zeros((0, len(material.labels)), np.float32)
                raise LostError(error, k + 1, Trained(tensors, history, nothing, nothing, ())) from error
            tensors |= {prefix(k) + name: value for name, value in state.weights().items()}
            history += [{"member": k, **row} for row in state.history]
            if state.stopped == "time":
                late.append(
                    f"--max-minutes: the time of member {k + 1} was up after {state.step} of {state.first_plan} "
                    "planned steps; no --steps gives these weights again"
                )
            valid.append(np.full((len(material.gold["valid"]), len(material.labels)), np.nan, np.float32))
            valid[-1][fit.held - len(material.gold["train"])] = fit.held_out()
            test.append(fit.test())
    # Each validation text is answered by those that have not learnt from it.
    answers = (log_softmax(np.nanmean(logs, axis=0)) for logs in (valid, test))
    return Trained(tensors, history, next(answers), next(answers), tuple(late))


def _save(
    out: Path,
    material: Material,
    plan: Plan,
    *,
    config: ClassifierConfig,
    linear: LinearModel | None,
    trained: Trained,
    told: Result,
) -> None:
    manifest = Manifest(
        kind=KIND,
        created=clock.now().isoformat(timespec="seconds"),
        command=plan.command,
        seed=plan.fit.seed,
        data={
            "fingerprint": material.fingerprint,
            "texts": {part: len(texts) for part, texts in material.texts.items()},
            "labels": len(material.labels),
            "steps": [row["step"] for row in trained.history if row["stopped"]],
            "threads": plan.threads,
            **({"init_from": plan.donor.id} if plan.donor else {}),
        },
        metrics=tuple(told.records),
    )
    settings = {
        **asdict(config),
        "fit": asdict(plan.fit),
        "batch_size": plan.batch_size,
        "smoothing": plan.smoothing,
        "balance": plan.balance,
        "refit": plan.refit,
        "min_count": plan.min_count,
    }
    documents: dict[str, Any] = {
        "labels.json": list(material.labels),
        **material.features.documents(),
    }
    blobs = material.features.blobs()
    learnt = [text for part in ("train", "valid")[: 1 + plan.refit] for text in material.texts[part]]
    extra: dict[str, dict[str, Any]] = {seen.FILE: Seen.of(learnt).tensors()}
    if linear is not None:
        documents["linear.json"], extra["linear.safetensors"] = linear.document(), linear.tensors()
    if material.own is not None:
        documents[WORDS], blobs[MATRIX] = list(material.own.words), material.own.dump()
    checkpoint.save(
        out,
        manifest,
        config=settings,
        tensors=trained.tensors,
        history=trained.history,
        card=_card(out, manifest, config, material, told.sentences),
        documents=documents,
        extra_tensors=extra,
        blobs=blobs,
        overwrite=True,
    )


def _card(out: Path, manifest: Manifest, config: ClassifierConfig, material: Material, sentences: Sequence[str]) -> str:
    """The model card: what it is, what it learned from, how good it is, what it must not be taken for."""
    labels = material.labels
    listed = f"{', '.join(labels[:12])}{f' and {len(labels) - 12} more' if len(labels) > 12 else ''}"
    both = "from both ends" if config.bidirectional else "from its beginning"
    spoken = (
        f", fused with a linear model over n-grams (weight {config.fusion:.2f})"
        if config.fusion
        else ", and nothing besides"
    )
    scores = [
        f"- {row['model']}: macro-F1 {row['macro_f1']:.4f} [{row['macro_f1_low']:.4f}, {row['macro_f1_high']:.4f}], "
        f"accuracy {row['accuracy']:.4f}, {row['n']} texts"
        for row in manifest.metrics
    ]
    texts = material.texts
    donor = manifest.data.get("init_from")
    begun = [f"- Started from the generator {donor}, whose units it reads: {config.unit}."] if donor else []
    return (
        "\n".join(
            [
                f"# {out.resolve().name}: a classifier made by seqcli",
                "",
                f"- Network: {config.members} × {config.cell} of {config.hidden} units, reading a text {both}{spoken}.",
                *begun,
                f"- Labels: {listed}.",
                f"- Texts: {len(texts['train'])} to learn from, {len(texts['valid'])} to choose by, "
                f"{len(texts['test'])} to judge with.",
                f"- Made: {manifest.created}, seed {manifest.seed}, with `{manifest.command}`.",
                "",
                *(["On the test part, which nothing was chosen by:", *scores] if scores else sentences),
                "",
                f"Use: `{_next(Path(out.resolve().name))}`. It knows no other label.",
            ]
        )
        + "\n"
    )
