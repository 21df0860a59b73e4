"""GiNZA's table, built once in the cache of the test run; tests import the fixtures that they need."""

from collections.abc import Iterator

import pytest

from seqcli.core.vector_store import VectorStore
from seqcli.core.word_vectors import Lookup, open_vectors


@pytest.fixture(scope="module", autouse=True)
def _cache(folders: dict[str, str]) -> Iterator[None]:
    """The cache of the test run, in which GiNZA's table is built once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", folders["SEQCLI_CACHE_DIR"])
        yield


@pytest.fixture(scope="module")
def ginza(_cache: None) -> VectorStore:
    return open_vectors()


@pytest.fixture(scope="module")
def lookup(ginza: VectorStore) -> Lookup:
    return Lookup(ginza)
