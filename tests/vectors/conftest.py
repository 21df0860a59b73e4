"""GiNZA's table, built once into the cache of the test run."""

from collections.abc import Iterator

import pytest

from seqcli.core.vector_store import VectorStore
from seqcli.core.word_vectors import Lookup, open_vectors


@pytest.fixture(scope="session", autouse=True)
def _cache(folders: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", folders["SEQCLI_CACHE_DIR"])
        yield


@pytest.fixture(scope="session")
def ginza(_cache: None) -> VectorStore:
    return open_vectors()


@pytest.fixture(scope="session")
def lookup(ginza: VectorStore) -> Lookup:
    return Lookup(ginza)
