"""Writes docs/cli.md from the app's own --help; with --check, says whether it is out of date."""

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "cli.md"
PLAIN = {"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8"}


def help_of(*words: str) -> str:
    """What ``seqcli WORDS --help`` prints, without trailing blanks."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SEQCLI_", "FORCE_COLOR"))} | PLAIN
    command = [sys.executable, "-m", "seqcli", *words, "--help"]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def page() -> str:
    """The whole page, one section a command, in reading order."""
    from seqcli.__main__ import commands

    parts = ["# The command line", "Made from the commands' own `--help` by `make docs`.", f"```\n{help_of()}\n```"]
    for name in commands():
        parts += [f"## seqcli {name}", f"```\n{help_of(name)}\n```"]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """0: written, or up to date; 1: out of date."""
    text = page()
    if "--check" in sys.argv:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not fresh:
            sys.stderr.write("docs/cli.md is out of date: run make docs\n")
        return int(not fresh)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
