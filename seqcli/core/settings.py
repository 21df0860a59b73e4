"""``seqcli.toml``: defaults for the options, kept in the working folder.

Flags come before ``SEQCLI_*`` environment variables, and those before this file. Typer itself reads the variables, by
the name that ``variable`` gives to an option, and takes ``Settings.defaults`` as its map of defaults.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqcli.core.folders import SETTINGS
from seqcli.errors import UsageError


@dataclass(frozen=True)
class Option:
    """What a command says of one of its options.

    Arguments:
        flag: as it is typed, without the dashes in front: ``learning-rate``.
        parameter: the name under which Typer expects its default: ``learning_rate``.
        kind: ``bool``, ``int`` and ``float`` are checked; anything else is written as text.
        many: it may be given several times; in the file it is a list, or one value.
        choices: the words that are accepted; empty: no such limit.
    """

    flag: str
    parameter: str
    kind: type = str
    many: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """The file as it was read; empty if there is none."""

    path: Path
    values: Mapping[str, object]

    def defaults(self, commands: Mapping[str, Sequence[Option]]) -> dict[str, dict[str, object]]:
        """Defaults by command and parameter.

        A key at the top holds for every command that has the option; one in a command's own table, such as
        ``[train-forecast]``, for that command alone, and wins. Keys may be written with ``-`` or ``_``.

        Arguments:
            commands: the options of each command.

        Raises:
            UsageError: a key that nothing knows, or a value of the wrong type; names the file, the key and the value.
        """
        keys = {option.flag for options in commands.values() for option in options}
        shared, own = {}, {}
        for written, value in self.values.items():
            key = written.replace("_", "-")
            if isinstance(value, dict) and key in commands:
                own[key] = {inner.replace("_", "-"): item for inner, item in value.items()}
            elif isinstance(value, dict):
                raise self._unknown(f"[{written}]", "command", key, commands)
            elif key in keys:
                shared[key] = value
            elif key in commands:
                raise UsageError(
                    f"{self.path}: {written}", f"a command, but set to {value!r}", f"open a table: [{key}]"
                )
            else:
                raise self._unknown(written, "option", key, keys)
        return {
            command: self._of_one(command, options, shared, own.get(command, {}))
            for command, options in commands.items()
        }

    def _of_one(
        self, command: str, options: Sequence[Option], shared: Mapping[str, object], own: Mapping[str, object]
    ) -> dict[str, object]:
        by_flag = {option.flag: option for option in options}
        for key in own:
            if key not in by_flag:
                raise self._unknown(f"[{command}] {key}", f"option of {command}", key, by_flag)
        merged = {key: ("", value) for key, value in shared.items() if key in by_flag}
        merged |= {key: (f"[{command}] ", value) for key, value in own.items()}
        return {
            by_flag[key].parameter: self._checked(f"{table}{key}", by_flag[key], value)
            for key, (table, value) in merged.items()
        }

    def _checked(self, place: str, option: Option, value: object) -> object:
        if option.many:
            items = value if isinstance(value, list) else [value]
            return [self._checked_one(place, option, item) for item in items]
        return self._checked_one(place, option, value)

    def _checked_one(self, place: str, option: Option, value: object) -> object:
        if isinstance(value, datetime.date):  # TOML has dates of its own: since = 2024-06-28
            value = value.isoformat()
        switch = isinstance(value, bool)
        fits, wanted = {
            bool: (switch, "true or false"),
            int: (isinstance(value, int) and not switch, "a whole number"),
            float: (isinstance(value, int | float) and not switch, "a number"),
        }.get(option.kind, (isinstance(value, str), 'text in quotation marks: "…"'))
        if option.choices:
            fits, wanted = value in option.choices, "one of " + ", ".join(f'"{choice}"' for choice in option.choices)
        if not fits:
            raise UsageError(f"{self.path}: {place}", f"{value!r} is not {wanted}")
        return value

    def _unknown(self, place: str, what: str, key: str, names: Collection[str]) -> UsageError:
        from seqcli.core.lines import nearest

        close = nearest(key, names)
        return UsageError(f"{self.path}: {place}", f"no such {what}", f"did you mean {close}?" if close else None)


def load(folder: Path) -> Settings:
    """Read ``seqcli.toml`` in ``folder``, if it is there.

    Raises:
        UsageError: it cannot be read, or is not TOML; names the line and the column.
    """
    path = folder / SETTINGS
    shown = Path(SETTINGS) if folder == Path() or folder == Path.cwd() else path
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Settings(shown, {})
    except OSError as problem:
        raise UsageError(str(shown), f"cannot be read: {problem.strerror}") from None
    import tomllib

    try:
        return Settings(shown, tomllib.loads(content.decode("utf-8-sig")))  # Windows' Notepad writes the mark
    except UnicodeDecodeError as problem:
        what = f"byte {problem.start + 1} is 0x{content[problem.start]:02X}: TOML is always UTF-8"
        raise UsageError(str(shown), what) from None
    except tomllib.TOMLDecodeError as problem:
        raise UsageError(str(shown), f"not TOML: {problem}") from None


def variable(option: Option) -> str:
    """The environment variable that sets an option of every command that has it: ``SEQCLI_LEARNING_RATE``."""
    return f"SEQCLI_{option.flag.replace('-', '_').upper()}"
