"""Where seqcli keeps what is its own: the platform's folders, or those that the user names."""

from __future__ import annotations

import os
from pathlib import Path

SETTINGS = "seqcli.toml"  # in the working folder; see core/settings.py


def data_folder() -> Path:
    """The folder for what was downloaded (``SEQCLI_DATA_DIR``, else the platform's data folder)."""
    if folder := os.environ.get("SEQCLI_DATA_DIR"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_data_path("seqcli")


def cache_folder() -> Path:
    """The folder for what can be made again (``SEQCLI_CACHE_DIR``, else the platform's cache folder)."""
    if folder := os.environ.get("SEQCLI_CACHE_DIR"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("seqcli")
