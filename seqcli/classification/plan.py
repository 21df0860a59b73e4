"""What a training is asked to do: the defaults that were chosen for the task, and what the user said instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seqcli.classification.config import ClassifierConfig
from seqcli.classification.pretrained import Donor
from seqcli.core.tokens import Tokenizer
from seqcli.errors import UsageError

if TYPE_CHECKING:
    from seqcli.core.training import FitSettings

# Chosen on the development parts of livedoor's titles and texts and of JCommonsenseMorality.
LEARNING_RATE: Final = 3e-3
CLIP_NORM: Final = 1.0
SMOOTHING: Final = 0.05
MIN_COUNT: Final = 2

# The more texts, the fewer epochs: six for 6,000 texts, five for 14,000, a dozen for some hundreds.
_EPOCHS, _SHRINKING = 45.0, 0.23
_FEWEST, _MOST = 3, 15
_MEMBERS: Final = 3
# Tokens that a network reads over all epochs, and all networks: long texts are read less often, and by fewer.
_READ: Final = 3_000_000
_READ_BY_ALL: Final = 4_000_000

_SEEDS: Final = 1009  # members of one training have neighbouring seeds; trainings of neighbouring seeds share none


@dataclass(frozen=True)
class Plan:
    """What is trained and how.

    Arguments:
        config: the shape of the networks; what hangs on the data is filled in by ``settled``.
        fit: how one network is trained; its seed is that of the whole.
        epochs: passes over the texts; ``None``: by their number.
        members: networks that are averaged; ``None``: by the length of the texts.
        batch_size: texts of a step; ``None``: by their number.
        vectors: ``ginza``, ``none``, or where a table of one's own is: a model folder of vectors or a file.
        fusion: whether a linear model has a say in the answer.
        refit: whether the validation part is learnt from too. It is divided into as many folds as there are networks,
            and each network learns from all but one of them: what it makes of that one chooses as before. The linear
            model is fitted again. Otherwise, and where there is one network, it learns from the training part alone.
        smoothing: share of the probability that is spread over all labels in the target (Szegedy et al. 2016).
        balance: how much more an example of a rare label counts, by the inverse of its share to this power: 0 not at
            all, 1 so that all labels together count alike.
        min_count: how often a word must stand in the training texts to get a vector of its own.
        donor: the generator that the networks start from; ``None``: they start from chance.
        tokenizer: how texts are split.
        device: auto, cpu, cuda or mps.
        threads: of the processor. One by default: a seed then gives the same weights on any machine of a kind.
        command: as the user typed it, for the record.
    """

    config: ClassifierConfig
    fit: FitSettings
    epochs: int | None = None
    members: int | None = None
    batch_size: int | None = None
    vectors: str | Path = "ginza"
    fusion: bool = True
    refit: bool = True
    smoothing: float = SMOOTHING
    balance: float = 0.0
    min_count: int = MIN_COUNT
    donor: Donor | None = None
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    device: str = "auto"
    threads: int = 1
    command: str = ""

    def settled(self, texts: int, tokens: int) -> Plan:
        """The same with what hangs on the training part.

        Arguments:
            texts: how many there are.
            tokens: that the networks read of them in an epoch.
        """
        usual = min(_MOST, round(_EPOCHS * max(1, texts) ** -_SHRINKING), _READ // max(1, tokens))
        epochs = self.epochs or max(_FEWEST, usual)
        members = self.members or min(_MEMBERS, max(1, _READ_BY_ALL // max(1, tokens * epochs)))
        return replace(
            self,
            config=replace(self.config, members=members),
            fit=replace(self.fit, epochs=epochs),
            epochs=epochs,
            members=members,
            batch_size=self.batch_size or (64 if texts >= 4_000 else 32 if texts >= 1_000 else 16),
        )

    def member(self, number: int, held: int) -> FitSettings:
        """How one member is trained: with a seed of its own, and its part of the time.

        Arguments:
            number: which one, from 0.
            held: texts that it is validated on. Of few, one more or less is nothing to cut a schedule short for.
        """
        return replace(
            self.fit,
            seed=(self.fit.seed * _SEEDS + number) % 2**32,
            tolerance=min(0.5, held**-0.5),
            max_minutes=self.fit.max_minutes / self.config.members if self.fit.max_minutes else None,
        )


def make(
    flags: Mapping[str, Any],
    *,
    vectors: str | Path | None = None,
    members: int | None = None,
    fusion: bool = True,
    refit: bool = True,
    balance: float = 0.0,
    max_tokens: int | None = None,
    init_from: Path | None = None,
    tokenizer: Tokenizer | None = None,
) -> Plan:
    """The defaults that were chosen for the task, with what the user said instead.

    Arguments:
        flags: what was said of ``--cell``, ``--hidden``, ``--epochs`` and the other flags that every training has.
        vectors: ``ginza``, ``none`` or a place; ``None``: the default.
        members: networks that are averaged; ``None``: by the length of the texts.
        fusion: whether a linear model has a say in the answer.
        refit: whether the validation part is learnt from too.
        balance: 0 to 1, how much more rare labels count.
        max_tokens: tokens of a text that the networks read; ``None``: the default.
        init_from: the folder of a generator to start from, which settles the shape and what is read.
        tokenizer: how texts are split; ``None``: as GiNZA does.

    Raises:
        UsageError: a value is out of range, or does not go with the generator.
        ModelError: the generator is missing or damaged, or is none.
    """
    from seqcli.core.training import FitSettings

    default = ClassifierConfig()
    for option, value in (("--members", members), ("--max-tokens", max_tokens)):
        if value is not None and value < 1:
            raise UsageError(option, f"must be at least 1, not {value}")
    if not 0 <= balance <= 1:
        raise UsageError("--class-weights", f"must be from 0 to 1, not {balance}")
    config = replace(
        default,
        cell=flags.get("cell", default.cell),
        hidden=flags.get("hidden", default.hidden),
        layers=flags.get("layers", default.layers),
        dropout=flags.get("dropout", default.dropout),
        max_tokens=max_tokens or default.max_tokens,
    )
    donor = None
    if init_from is not None:
        donor = _donor(init_from, flags, vectors)
        config = donor.config(config)
    fit = FitSettings(
        steps=flags.get("steps"),
        max_minutes=flags.get("max_minutes"),
        learning_rate=flags.get("learning_rate", LEARNING_RATE),
        schedule="linear",
        clip_norm=flags.get("clip_norm", CLIP_NORM),
        precision="float32",
        seed=flags.get("seed", 1),
    )
    named = ("device", "threads", "command", "batch_size", "epochs")
    common = {name: flags[name] for name in named if name in flags}
    return Plan(
        config, fit, members=members, vectors=vectors or "ginza", fusion=fusion, refit=refit, balance=balance,
        donor=donor, tokenizer=tokenizer or Tokenizer(), **common,
    )  # fmt: skip


def _donor(path: Path, flags: Mapping[str, Any], vectors: str | Path | None) -> Donor:
    """The generator to start from, whose shape nothing that was said may contradict."""
    if vectors not in (None, "none"):
        raise UsageError("--vectors", "a generator's encoder cannot read word vectors", "leave it out with --init-from")
    donor = Donor.load(path)
    for name in ("cell", "hidden", "layers"):
        own = donor.shape[name]
        if flags.get(name, own) != own:
            what = f"{flags[name]}, and the generator of --init-from has {own}"
            raise UsageError(f"--{name}", what, "leave it out: the classifier takes over what the generator has")
    return donor
