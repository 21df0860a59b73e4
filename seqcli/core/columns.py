"""Columns that a filter adds to the rows of its input: one name for the whole run, and nothing of the input is lost."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from seqcli.core.texts import Item


@dataclass
class Columns:
    """What the columns of a filter are called in this run, and what of the input had to make way for them.

    Arguments:
        names: ours to what it is called: ``name_1``, ``name_2``, … where the first row of the input has ``name``.
        moved: a column that a later row has although it is ours, to where the first such row keeps it.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.names.get(name, name)

    def row(self, item: Item) -> dict[str, Any]:
        """A row of the input as a new dict, to which our columns can be added."""
        given = _given(item)
        if self._ours.isdisjoint(given):
            return dict(given)
        record: dict[str, Any] = {}
        for name, value in given.items():
            place = _free(name, self._ours | given.keys() | record.keys()) if name in self._ours else name
            if place != name:
                self.moved.setdefault(name, place)
            record[place] = value
        return record

    def add(self, other: Columns) -> None:
        """Notes what was moved elsewhere; what was noted first stays."""
        self.moved = other.moved | self.moved

    def sentences(self) -> Iterator[str]:
        """Which of our columns are called otherwise."""
        for name, other in self.names.items():
            if name != other:
                yield f"the input has a column {name!r} already: ours is {other!r}"

    def warnings(self) -> Iterator[str]:
        """Which columns of the input are not where they were."""
        for name, other in self.moved.items():
            yield f"the first row has no column {name!r}, so it is ours; what a later row has there is in {other!r}"

    @cached_property
    def _ours(self) -> frozenset[str]:
        return frozenset(self.names.values())


def beside(source: Iterable[Item], names: Iterable[str]) -> tuple[Columns, Iterator[Item]]:
    """What our columns are called beside those of the first row, and the items again, the first one included.

    Arguments:
        source: the items from the beginning, of which one is read.
        names: of every column that may be added.
    """
    items = iter(source)
    first = list(itertools.islice(items, 1))
    taken = {name for item in first for name in _given(item)}
    chosen: dict[str, str] = {}
    for name in names:
        chosen[name] = _free(name, taken)
        taken.add(chosen[name])
    return Columns(chosen), itertools.chain(first, items)


def _given(item: Item) -> Mapping[str, Any]:
    return {"text": item.text} if item.columns is None else item.columns


def _free(name: str, taken: Collection[str]) -> str:
    names = itertools.chain([name], (f"{name}_{count}" for count in itertools.count(1)))
    return next(one for one in names if one not in taken)
