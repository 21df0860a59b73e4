"""A linear classifier over TF-IDF: the yardstick of the report, and the second opinion of the network.

scikit-learn fits it; predicting with it needs NumPy alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqcli.classification.network import log_softmax
from seqcli.core import metrics
from seqcli.core.tfidf import SparseRows, Tfidf, TfidfSettings, Unit
from seqcli.errors import ModelError

Floats = NDArray[np.float32]
Kind = Literal["logistic", "svc"]

STRENGTHS: Final = {"logistic": (1.0, 3.0, 10.0, 30.0, 100.0), "svc": (0.1, 0.3, 1.0, 3.0)}
"""The values of C, the inverse of the regularisation, that are tried on development data."""

_USUAL = {"logistic": 10.0, "svc": 1.0}  # C where there are no development data
_PER_TEXT = {"char": 10, "word": 3}  # terms that are kept for each training text
_FEWEST, _MOST = 2_000, 20_000  # texts below and above which the number of terms stays the same


class Labelled(NamedTuple):
    """Examples to choose on.

    Arguments:
        texts: of each.
        tokens: of each; None where only characters are used.
        gold: ``(n,)`` true classes.
    """

    texts: Sequence[str]
    tokens: Sequence[Sequence[str]] | None
    gold: ArrayLike


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Scores that are sums over the n-grams of a text.

    Arguments:
        kind: ``logistic`` regression over all classes at once, or ``svc``: one linear support-vector machine a class.
        strength: the C that was chosen.
        parts: what is counted: characters, and words where tokens were given.
        weights: ``(terms, classes)``, the parts one under the other.
        bias: ``(classes,)``.
    """

    kind: Kind
    strength: float
    parts: tuple[Tfidf, ...]
    weights: Floats
    bias: Floats

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]] | None,
        gold: ArrayLike,
        classes: int,
        *,
        kind: Kind = "logistic",
        development: Labelled | None = None,
        seed: int = 0,
    ) -> LinearModel:
        """Learns from examples; C is the one with the least log loss on ``development``, of ``svc`` the best macro-F1.

        Arguments:
            texts: of each example.
            tokens: of each, for word n-grams besides; None: characters only.
            gold: ``(n,)`` true classes, each from 0 to ``classes - 1`` at least once.
            classes: how many there are.
            kind: of model.
            development: examples to choose C on; None: a C that usually does.
            seed: of the order in which ``svc`` visits the examples.

        Raises:
            ValueError: a class without an example.
        """
        return Training(texts, tokens, gold, classes, development).fit(kind, seed)

    def scores(self, texts: Sequence[str], tokens: Sequence[Sequence[str]] | None = None) -> Floats:
        """The score of each class, ``(n, classes)``: the bias and the sum over the n-grams of the text."""
        return self.scores_of(_counted(self.parts, texts, tokens))

    def scores_of(self, rows: Sequence[SparseRows]) -> Floats:
        """The same of texts that were counted already, a matrix for each of ``parts``."""
        total = np.tile(self.bias, (len(rows[0]), 1))
        for (_, weights), counted in zip(self._with_weights(), rows, strict=True):
            total += counted.dot(weights)
        return total

    def log_probabilities(self, texts: Sequence[str], tokens: Sequence[Sequence[str]] | None = None) -> Floats:
        """Natural logarithms of the probabilities, ``(n, classes)``; of ``svc`` a guess, since it has none itself."""
        return log_softmax(self.scores(texts, tokens))

    def calibrated(self, temperature: float) -> LinearModel:
        """The same with all scores divided by a temperature."""
        weights = (self.weights / temperature).astype(np.float16).astype(np.float32)  # as they are kept on disk
        return replace(self, weights=weights, bias=(self.bias / temperature).astype(np.float32))

    def contributions(self, text: str, tokens: Sequence[str] | None, label: int) -> list[tuple[str, float]]:
        """What each n-gram of a text adds to the score of a class, the strongest first; with the bias, they add up.

        Arguments:
            text: the text.
            tokens: its tokens, if the model has words.
            label: the class.
        """
        found = []
        for part, weights in self._with_weights():
            columns, values = part.transform(_given(part, [text], None if tokens is None else [tokens])).row(0)
            added = weights[columns, label] * values
            found += [(part.terms[c], float(a)) for c, a in zip(columns.tolist(), added, strict=True)]
        return sorted(found, key=lambda one: -abs(one[1]))

    def tensors(self) -> dict[str, np.ndarray]:
        """What ``linear.safetensors`` holds."""
        arrays = {f"{p.settings.unit}.{name}": array for p in self.parts for name, array in p.tensors().items()}
        return {**arrays, "weights": self.weights.astype(np.float16), "bias": self.bias}

    def document(self) -> dict[str, Any]:
        """What ``linear.json`` holds."""
        return {"kind": self.kind, "strength": self.strength, "parts": [part.document() for part in self.parts]}

    @classmethod
    def load(cls, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> LinearModel:
        """The model of ``tensors`` and ``document``.

        Raises:
            ModelError: they do not belong together.
        """
        try:
            kind, strength = document["kind"], float(document["strength"])
            parts = []
            for part in document["parts"]:
                prefix = f"{part['unit']}."
                mine = {n.removeprefix(prefix): array for n, array in tensors.items() if n.startswith(prefix)}
                parts.append(Tfidf.load(mine, part))
            weights, bias = tensors["weights"].astype(np.float32), tensors["bias"].astype(np.float32)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError("linear.json", f"does not describe a linear model: {problem!r}") from None
        if kind not in tuple(STRENGTHS) or weights.shape != (sum(map(len, parts)), *bias.shape) or bias.ndim != 1:
            raise ModelError("linear.safetensors", f"weights {weights.shape} do not fit linear.json")
        return cls(kind, strength, tuple(parts), weights, bias)

    def _with_weights(self) -> list[tuple[Tfidf, Floats]]:
        ends = np.cumsum([len(part) for part in self.parts])
        return list(zip(self.parts, np.split(self.weights, ends[:-1]), strict=True))


def _settings(unit: Unit, high: int, texts: int) -> TfidfSettings:
    """N-grams up to ``high``; long texts have so many that learning them all takes longer and predicts worse."""
    return TfidfSettings(unit, 1, high, most=_PER_TEXT[unit] * min(max(texts, _FEWEST), _MOST))


class Training:
    """Examples, counted once for models of several kinds; arguments and errors are those of ``LinearModel.fit``."""

    def __init__(
        self,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]] | None,
        gold: ArrayLike,
        classes: int,
        development: Labelled | None = None,
    ) -> None:
        self._examples = Labelled(texts, tokens, gold)
        self._gold, self._classes = np.asarray(gold, np.int64), classes
        if len(np.unique(self._gold)) != classes:
            raise ValueError(f"examples of {len(np.unique(self._gold))} classes, not of {classes}")
        parts = [Tfidf.fit(_settings("char", 4, len(texts)), texts)]
        if tokens is not None:
            parts.append(Tfidf.fit(_settings("word", 2, len(texts)), tokens))
        self._parts = tuple(parts)
        self._rows = _counted(parts, texts, tokens)
        self._development = development
        self._asked = None if development is None else _counted(parts, development.texts, development.tokens)

    def fit(self, kind: Kind, seed: int = 0, *, strength: float | None = None) -> LinearModel:
        """A model of one kind, with this C or the one that is best on the development examples."""
        solver = _Solver(kind, self._rows, self._gold, self._classes, seed)
        if strength is not None or self._development is None or self._asked is None:
            strength = strength or _USUAL[kind]
            return LinearModel(kind, strength, self._parts, *solver.solve(strength))
        tried: dict[float, tuple[float, LinearModel]] = {}

        def score(strength: float) -> float:
            if strength not in tried:
                model = LinearModel(kind, strength, self._parts, *solver.solve(strength))
                tried[strength] = self._score(model), model
            return tried[strength][0]

        grid = STRENGTHS[kind]
        if kind == "svc":
            best = max(grid, key=score)
        else:
            at = len(grid) // 2
            for step in (1, -1):  # the log loss has one valley, which lies on one side of the usual C
                while 0 <= at + step < len(grid) and score(grid[at + step]) > score(grid[at]):
                    at += step
            best = grid[at]
        score(best)
        return tried[best][1]

    def _score(self, model: LinearModel) -> float:
        """How good it is on the development examples."""
        assert self._development is not None and self._asked is not None, "there are such"
        logs = log_softmax(model.scores_of(self._asked))
        # The log loss is smoother, so it chooses less by chance; the margins of an SVC have none.
        if model.kind == "logistic":
            return -metrics.log_loss(logs, self._development.gold)
        return metrics.macro_f1(self._development.gold, logs.argmax(axis=1), self._classes)

    def whole(self) -> Training:
        """The development examples among the others, and none to choose on."""
        assert self._development is not None, "there are such"
        (texts, tokens, gold), more = self._examples, self._development
        both = None if tokens is None or more.tokens is None else [*tokens, *more.tokens]
        labels = np.concatenate([np.asarray(gold), np.asarray(more.gold)])
        return Training([*texts, *more.texts], both, labels, self._classes)


class _Solver:
    """One training set, for several C."""

    def __init__(
        self, kind: Kind, rows: Sequence[SparseRows], gold: NDArray[np.int64], classes: int, seed: int
    ) -> None:
        from scipy import sparse
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        matrices = [
            sparse.csr_matrix((part.values, part.indices, part.indptr), shape=(len(part), part.columns))
            for part in rows
        ]
        self._matrix = sparse.hstack(matrices, format="csr")
        self._gold, self._classes = gold, classes
        self._learner: Any = (
            LogisticRegression(solver="newton-cg") if kind == "logistic" else LinearSVC(random_state=seed)
        )

    def solve(self, strength: float) -> tuple[Floats, Floats]:
        """Weights ``(terms, classes)`` and bias ``(classes,)``."""
        if not self._matrix.shape[1]:  # no two texts have a character in common: only the labels' shares are known
            shares = np.bincount(self._gold, minlength=self._classes) / len(self._gold)
            return np.zeros((0, self._classes), np.float32), np.log(shares).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged to the last digit changes no prediction
            self._learner.set_params(C=strength).fit(self._matrix, self._gold)
        weights, bias = self._learner.coef_.T, self._learner.intercept_
        if self._classes == 2:  # scikit-learn gives the difference of the two
            weights, bias = np.hstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
        # Half precision is what is kept on disk; a model does not change when it is saved.
        return weights.astype(np.float16).astype(np.float32), bias.astype(np.float32)


def _counted(parts: Sequence[Tfidf], texts: Sequence[str], tokens: Sequence[Sequence[str]] | None) -> list[SparseRows]:
    return [part.transform(_given(part, texts, tokens)) for part in parts]


def _given(part: Tfidf, texts: Sequence[str], tokens: Sequence[Sequence[str]] | None) -> Sequence[Any]:
    if part.settings.unit == "char":
        return texts
    if tokens is None:
        raise ValueError("this model needs tokens besides texts")
    return tokens
