"""The model folder: how a model lies on disk, written whole and read with suspicion.

Only safetensors and JSON, nothing that runs on load. NumPy is imported when weights are read or written, PyTorch
never: ``seqcli info`` reads JSON alone. Whoever changes the layout raises :data:`FORMAT` and keeps reading the old.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqcli import __version__
from seqcli.core import files
from seqcli.core.safe_formats import (
    HINT,
    dump_json,
    dump_tensors,
    read_json,
    read_json_lines,
    read_tensors,
    tensor_shapes,
)
from seqcli.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np

FORMAT = 1

# What a model is made of: files of these kinds, and more exactly, what its manifest has digests of and these, of which
# older manifests have none. Everything else in its folder (a journal, forecasts, a picture) is the user's.
SUFFIXES = {".json", ".jsonl", ".safetensors", ".npy", ".model"}
_OWN = {"seqcli.json", "config.json", "history.jsonl", "calibration.json", "vocab.json", "labels.json"} | {
    "characters.json", "linear.json", "units.json",
}  # fmt: skip

_WORD = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class ModelFolder:
    """The paths of a model folder. ``path`` is the folder; nothing is read."""

    path: Path

    @property
    def manifest(self) -> Path:
        """What made the model and how good it is; a folder with this file is a model."""
        return self.path / "seqcli.json"

    @property
    def config(self) -> Path:
        """All that rebuilds the net and the preprocessing."""
        return self.path / "config.json"

    @property
    def weights(self) -> Path:
        """The tensors; those of the recurrent encoder carry the prefix ``encoder.``."""
        return self.path / "model.safetensors"

    @property
    def vocab(self) -> Path:
        """A JSON list, index = id; only kinds that read text have one."""
        return self.path / "vocab.json"

    @property
    def labels(self) -> Path:
        """A JSON list, index = id; only classifiers have one."""
        return self.path / "labels.json"

    @property
    def history(self) -> Path:
        """One JSON line an epoch."""
        return self.path / "history.jsonl"

    @property
    def calibrations(self) -> Path:
        """What a journal taught about a forecaster's intervals; only there once something was learnt."""
        return self.path / "calibration.json"

    @property
    def card(self) -> Path:
        """The model card, for people."""
        return self.path / "README.md"

    @property
    def resume(self) -> Path:
        """Where an unfinished training goes on; gone when it has ended."""
        return self.path / "resume"


@dataclass(frozen=True)
class Manifest:
    """What ``seqcli.json`` says.

    ``kind`` is one word (``forecaster``); ``created`` an ISO time; ``command`` what was typed; ``data`` holds at
    least ``fingerprint`` and the span that was seen; ``metrics`` the records of the training report, baselines
    included. ``id`` names these weights with this config; ``digests`` holds the SHA-256 of each file that belongs to
    them, but for ``config.json``, which is in ``id``. Older models have none of JSON files.
    Both are filled in by :func:`save`.
    """

    kind: str
    created: str
    command: str = ""
    seed: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


def save(
    path: Path,
    manifest: Manifest,
    *,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    history: Iterable[Mapping[str, Any]] = (),
    card: str = "",
    documents: Mapping[str, Any] | None = None,
    extra_tensors: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    blobs: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write a model folder, whole or not at all, and return its manifest with ``id`` and ``digests`` filled in.

    ``documents`` are further JSON files (``{"labels.json": [...]}``), ``extra_tensors`` further safetensors files
    (``{"linear.safetensors": {...}}``), ``blobs`` files of another library's own format
    (``{"tokenizer.model": b"..."}``). With ``overwrite`` the model at ``path`` is replaced, its ``resume/`` with it;
    files there that no model has, such as a journal, are kept.
    Raises ModelError when ``path`` holds something and ``overwrite`` is false, MachineError on a full disk.
    """
    import hashlib  # 10 ms that ``info`` need not pay

    weights = {"model.safetensors": tensors, **(extra_tensors or {})}
    packed = {name: dump_tensors(value) for name, value in weights.items()} | dict(blobs or {})
    packed |= {name: _bytes(dump_json(document)) for name, document in (documents or {}).items()}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in packed.items()}
    identity = _identity(config, digests)
    versions = _versions() | dict(manifest.versions)
    manifest = replace(manifest, id=identity, digests=digests, versions=versions, format=FORMAT)
    with files.new_folder(path, overwrite=overwrite) as new:
        folder = ModelFolder(new)
        for name, data in packed.items():
            _inside(new, name).write_bytes(data)
        _write(folder.config, dump_json(dict(config)))
        _write(folder.history, "".join(dump_json(dict(row), lines=True) for row in history))
        _write(folder.card, card)
        _keep_others(path, new)
        _write(folder.manifest, dump_json({"format": FORMAT, **asdict(manifest)}))  # the format first, for people
    return manifest


def peek(path: Path, kind: str | None = None) -> Manifest:
    """Read what a model folder says about itself, without its weights and without NumPy.

    With ``kind``, a model of another kind is refused. Raises ModelError when the folder is missing, damaged, made
    by a newer seqcli, or of another kind.
    """
    folder = ModelFolder(path)
    try:
        files.recover(path)
        if not path.exists():
            raise ModelError(str(path), "no such model folder", "train one, or check the path")
        if not path.is_dir():
            raise ModelError(str(path), "is a file, not a model folder", "give the folder that --out named")
        if not folder.manifest.exists():
            if folder.resume.is_dir():
                raise ModelError(str(path), "its training was interrupted", "run that command again with --resume")
            what = "is not a model folder (it has no seqcli.json)"
            raise ModelError(str(path), what, "give the folder that --out named")
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ModelError(str(path), f"cannot be read ({error.strerror})") from error
    raw = read_json(folder.manifest, dict)
    version = raw.get("format")
    if isinstance(version, int) and version > FORMAT:
        what = f"made by a newer seqcli (format {version}; this one reads up to {FORMAT})"
        raise ModelError(str(path), what, "upgrade: pip install --upgrade seqcli")
    manifest = _manifest(folder.manifest, raw)
    if kind is not None and manifest.kind != kind:
        what = f"is a {manifest.kind}, not a {kind}".replace("a vectors", "a table of vectors")
        raise ModelError(str(path), what, f"seqcli info {path} shows what it is for")
    return manifest


def load(
    path: Path, kind: str, expected: Callable[[dict[str, Any]], Mapping[str, tuple[int, ...]]]
) -> tuple[Manifest, dict[str, Any], dict[str, np.ndarray]]:
    """Read manifest, config and weights of one and the same model, even while another one takes its place.

    ``expected`` gives name and shape of every tensor of a config, and refuses a config that makes no sense. The JSON
    files that the room reads besides (a vocabulary, labels) are those that were saved, too. Raises ModelError as
    :func:`peek` and :func:`load_tensors`, and where the parts are not of one saving.
    """
    manifest = peek(path, kind)
    try:
        return _load(path, manifest, expected)
    except ModelError:
        newer = peek(path, kind)
        if newer.digests == manifest.digests and newer.id == manifest.id:
            raise
        return _load(path, newer, expected)  # the folder was replaced between two reads


def _load(
    path: Path, manifest: Manifest, expected: Callable[[dict[str, Any]], Mapping[str, tuple[int, ...]]]
) -> tuple[Manifest, dict[str, Any], dict[str, np.ndarray]]:
    config = load_config(path)
    tensors = load_tensors(path, expected=expected(config), digests=manifest.digests)
    if manifest.id != _identity(config, manifest.digests):
        raise ModelError(str(path), "its config.json is not the one that was saved with these weights", HINT)
    check_documents(path, manifest)
    return manifest, config, tensors


def _identity(config: Mapping[str, Any], digests: Mapping[str, str]) -> str:
    """The name of these weights with this config."""
    import hashlib  # 10 ms that ``info`` need not pay

    content = dump_json(dict(config)) + "".join(map(str, digests.values()))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def load_config(path: Path) -> dict[str, Any]:
    """Read ``config.json``; the room checks what it means. Raises ModelError."""
    config: dict[str, Any] = read_json(ModelFolder(path).config, dict)
    return config


def load_list(path: Path, name: str) -> list[str]:
    """Read ``vocab.json`` or ``labels.json``: a list of strings, index = id. Raises ModelError."""
    values: list[str] = read_json(_inside(path, name), list)
    if not all(isinstance(value, str) for value in values):
        raise ModelError(str(path / name), "is not a list of strings", HINT)
    return values


def load_history(path: Path) -> list[dict[str, Any]]:
    """Read ``history.jsonl``, a dict an epoch. Raises ModelError."""
    return read_json_lines(ModelFolder(path).history)


def check_documents(path: Path, manifest: Manifest) -> None:
    """Refuse a folder one of whose JSON files is not the one that was saved.

    Older models have no digests of them, and pass. Raises ModelError.
    """
    for name in manifest.digests:
        if name.endswith(".json") and Path(name).name == name:  # the manifest may come from anywhere
            load_bytes(path, name, digests=manifest.digests)


def load_bytes(path: Path, name: str, *, digests: Mapping[str, str] | None = None) -> bytes:
    """Read a file as it stands, such as another library's ``tokenizer.model``, after its digest was checked.

    ``digests`` are those of the manifest, where the caller has read it. Raises ModelError.
    """
    import hashlib  # 10 ms that ``info`` need not pay

    file = _inside(path, name)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(str(file), f"cannot be read ({error.strerror})", HINT) from error
    wanted = (peek(path).digests if digests is None else digests).get(name)
    if hashlib.sha256(data).hexdigest() != wanted:
        raise ModelError(str(file), "is not the file that was saved with this model", HINT)
    return data


def load_tensors(
    path: Path,
    name: str = "model.safetensors",
    *,
    expected: Mapping[str, tuple[int, ...]] | None = None,
    digests: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Read the tensors of a model folder as writable arrays, without PyTorch.

    The header is checked against the size of the file before memory is taken; with ``expected`` (name to shape, as
    the config implies them) also against the net. The digest that was recorded at saving must match (``digests`` of
    the manifest, where the caller has read it), and every number must be finite. Raises ModelError.
    """
    file = _inside(path, name)
    if expected is not None:
        _compare(file, tensor_shapes(file), expected)
    digests = peek(path).digests if digests is None else digests
    return read_tensors(file, sha256=digests.get(name))


def _compare(file: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            seen = f"has shape {list(found[name])}" if name in found else "is missing"
            wanted = f"config.json wants {list(expected[name])}" if name in expected else "config.json knows none"
            raise ModelError(str(file), f"tensor {name[:60]!r} {seen}, {wanted}", HINT)


def _manifest(file: Path, raw: Mapping[str, Any]) -> Manifest:
    def take(key: str, kinds: type | tuple[type, ...], default: Any = None) -> Any:
        value = raw.get(key, default)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ModelError(str(file), f"{key!r} is {str(value)[:60]!r}", HINT)
        return value

    version, kind = take("format", int), take("kind", str)
    if version < 1:
        raise ModelError(str(file), f"'format' is {version}", HINT)
    if not _WORD.fullmatch(kind):
        raise ModelError(str(file), f"'kind' is {kind[:60]!r}", HINT)
    metrics = take("metrics", list, [])
    if not all(isinstance(row, dict) for row in metrics):
        raise ModelError(str(file), "'metrics' is not a list of records", HINT)
    return Manifest(
        kind=kind,
        created=take("created", str, ""),
        command=take("command", str, ""),
        seed=take("seed", (int, type(None))),
        data=take("data", dict, {}),
        metrics=tuple(metrics),
        versions=take("versions", dict, {}),
        id=take("id", str, ""),
        digests=take("digests", dict, {}),
        format=version,
    )


def _versions() -> dict[str, str]:
    versions = {"seqcli": __version__, "python": sys.version.split()[0]}
    return versions | {name: str(sys.modules[name].__version__) for name in ("numpy", "torch") if name in sys.modules}


def _inside(path: Path, name: str) -> Path:
    """A file of the folder; the name comes from our code, a path in it would be a bug."""
    assert Path(name).name == name, name
    return path / name


def _write(path: Path, text: str) -> None:
    path.write_bytes(_bytes(text))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _keep_others(old: Path, new: Path) -> None:
    """Take the user's own files along into the folder that replaces theirs."""
    try:
        digests = peek(old).digests
    except ModelError:  # none, or a damaged one
        digests = {}
    for child in old.iterdir() if old.is_dir() else ():
        ours = child.name in {*_OWN, *digests} if digests else child.suffix in SUFFIXES
        if child.is_file() and not ours and not (new / child.name).exists():
            try:
                os.link(child, new / child.name)  # the same file, so that a program that has it open loses nothing
            except OSError:  # a disk without hard links
                shutil.copy2(child, new / child.name)
