"""The training of one network of the ensemble, which can be stopped and gone on with."""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; train.py imports it once PyTorch is needed
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seqcli.classification.encoding import Floats, Ints
from seqcli.classification.material import LABELLED, Material
from seqcli.classification.model import Classifier, TensorBatch
from seqcli.classification.plan import Plan
from seqcli.core import device as devices
from seqcli.core import metrics
from seqcli.core.training import Signals, TrainingState, fit, seed_everything
from seqcli.errors import Interrupted
from seqcli.results import Progress

POOL: Final = 50  # batches among which texts of one length are sought
_ASKED: Final = 256  # texts that are classified together


class Fit:
    """One member of the ensemble in training.

    Arguments:
        material: the texts.
        plan: how it is trained.
        number: which member, from 0.
        folder: where unfinished members are kept, each in a folder of its own.
        device: where it computes.
    """

    def __init__(self, material: Material, plan: Plan, number: int, folder: Path, device: torch.device) -> None:
        self.material, self.plan, self.number, self.device = material, plan, number, device
        self.folder = folder / f"member-{number}"
        self.learnt, self.held = material.rows(number)
        self.settings = plan.member(number, len(self.held))
        assert plan.batch_size is not None, "the plan is settled"
        self.batch_size = plan.batch_size
        seed_everything(self.settings.seed)
        features = material.features
        prior = material.prior()
        # A recurrent layer uses its weights at every token: casting them pays, however few they are.
        bf16 = material.config.cell == "lstm" and devices.gains_by_bf16(device, "auto")
        self.model = Classifier(
            material.config, len(features.words), len(features.characters), torch.from_numpy(prior), bf16=bf16
        ).to(device)
        if plan.donor is not None:
            plan.donor.give(self.model)
        self.fingerprint = {
            "data": material.fingerprint,
            "config": asdict(material.config),
            "words": len(features.words),
            "batch_size": plan.batch_size,
            "smoothing": plan.smoothing,
            "balance": plan.balance,
            "refit": plan.refit,
            "vectors": str(plan.vectors),
            "donor": plan.donor.id if plan.donor else None,
            "device": str(device),
            "bf16": bf16,
            "threads": plan.threads,
        }
        self.state = TrainingState(self.model, self.settings, self.fingerprint)
        weights = prior**-plan.balance
        self.weights = torch.from_numpy(weights / (weights * prior).sum()).to(device)

    def run(self, signals: Signals, *, resume: bool) -> Generator[Progress, None, TrainingState]:
        """Trains to the end, from where an interrupted run stopped if there is one to resume."""
        if resume and self.folder.exists():
            self.state = TrainingState.load(self.folder, self.model, self.settings, self.fingerprint)
        members = self.material.config.members
        stage = f"training network {self.number + 1} of {members}" if members > 1 else "training"
        try:
            for epoch in fit(
                self.state, self.batches, self.step, validate=self._validate, signals=signals, size=len,
                rates=self.plan.donor.rate if self.plan.donor else None,
            ):  # fmt: skip
                if epoch.save_due:
                    self.state.save(self.folder)
                text = f"epoch {epoch.epoch}, loss {epoch.train_loss:.4f}"
                text += f", validation macro-F1 {1 - epoch.validation:.4f}" if epoch.validation is not None else ""
                done = self.number * epoch.planned_steps + epoch.step
                yield Progress(stage, done, members * epoch.planned_steps, text, line=epoch.complete)
        except Interrupted:
            self.state.save(self.folder)
            raise
        return self.state

    def batches(self, epoch: int) -> list[Ints]:
        """The rows of each batch; texts of about one length together, in an order that hangs on the epoch alone."""
        lengths, size = self.material.encoded[LABELLED].lengths, self.batch_size
        generator = np.random.default_rng([self.settings.seed, epoch])
        order = generator.permutation(self.learnt)
        found = []
        for start in range(0, len(order), size * POOL):
            pool = order[start : start + size * POOL]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            found += [pool[at : at + size] for at in range(0, len(pool), size)]
        return [found[at] for at in generator.permutation(len(found))]

    def step(self, rows: Ints, _: Any) -> tuple[Tensor, None]:
        """The mean loss of a batch."""
        batch = TensorBatch.of(self.material.encoded[LABELLED].batch(rows), self.device)
        gold = torch.from_numpy(self.material.gold[LABELLED][rows]).to(self.device)
        logits, _attention = self.model(batch)
        gold = gold.repeat(len(logits) // len(gold))
        weights = self.weights if self.plan.balance else None
        return functional.cross_entropy(logits, gold, weight=weights, label_smoothing=self.plan.smoothing), None

    def held_out(self) -> Floats:
        """Log probabilities ``(n, c)`` of the validation texts that it does not learn from."""
        return self._log_probabilities(LABELLED, self.held)

    def test(self) -> Floats:
        """Log probabilities ``(n, c)`` of the test part."""
        return self._log_probabilities("test", np.arange(len(self.material.gold["test"])))

    def _log_probabilities(self, part: str, asked: Ints) -> Floats:
        encoded = self.material.encoded[part]
        found = np.zeros((len(asked), len(self.material.labels)), np.float32)
        order = np.argsort(encoded.lengths[asked], kind="stable")
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(order), _ASKED):
                rows = order[start : start + _ASKED]
                logits, _ = self.model(TensorBatch.of(encoded.batch(asked[rows]), self.device))
                found[rows] = torch.log_softmax(logits, dim=1).cpu().numpy()
        return found

    def _validate(self) -> float:
        """One minus macro-F1 on the texts that were held out: lower is better."""
        predicted = self.held_out().argmax(axis=1)
        return 1 - metrics.macro_f1(self.material.gold[LABELLED][self.held], predicted, len(self.material.labels))
