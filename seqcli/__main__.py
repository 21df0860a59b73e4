"""``python -m seqcli`` and the ``seqcli`` command."""

import sys


def main() -> None:
    """Runs the command line; the encoding of a pipe is always UTF-8, whatever the locale (cron's is C)."""
    for stream in (sys.stdout, sys.stderr):
        if not stream.isatty() and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape" if stream is sys.stdout else "backslashreplace")
    from seqcli.cli.app import app
    from seqcli.cli import forecasting, models  # noqa: F401  each registers its commands

    app()


if __name__ == "__main__":
    main()
