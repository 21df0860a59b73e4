"""A page of a journal as a tree of its elements."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from seqcli.forecasting.data import Panel
from seqcli.forecasting.report import report

FIT = 300
VOID = {"meta", "link"}


class Element:
    """One element of a parsed page."""

    def __init__(self, name: str, attributes: dict[str, str | None], parent: Element | None) -> None:
        self.name, self.attributes, self.parent = name, attributes, parent
        self.children: list[Element | str] = []

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, name: str) -> list[Element]:
        return [element for element in self.walk() if element.name == name]

    def id(self, wanted: str) -> Element:
        (found,) = [element for element in self.walk() if element.attributes.get("id") == wanted]
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Parser(HTMLParser):
    """Builds the tree, and fails where an element is not closed in its turn."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {}, None)

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        element = Element(name, dict(attrs), self.here)
        self.here.children.append(element)
        if name not in VOID:
            self.here = element

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Element(name, dict(attrs), self.here))

    def handle_endtag(self, name: str) -> None:
        assert name == self.here.name, f"</{name}> closes <{self.here.name}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def parsed(path: Path) -> Element:
    parser = Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.here is parser.root, f"<{parser.here.name}> is not closed"
    return parser.root


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fx.sqlite"


def page(path: Path, panel: Panel, now: str | None = None, **options: Any) -> Element:
    """The page as it is made on the evening of the newest value, or at another moment."""
    output = path.with_suffix(".html")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_NOW", now or f"{panel.dates[-1]}T17:06:30+00:00")
        report(path, panel, output, **options)
    return parsed(output)


def table(root: Element, caption: str) -> Element:
    """A table, by the id within its caption."""
    element: Element | None = root.id(caption)
    while element is not None and element.name != "table":
        element = element.parent
    assert element is not None
    return element


def body(root: Element, caption: str) -> list[Element]:
    """The rows of a table."""
    return table(root, caption).all("tbody")[0].all("tr")


def calls(root: Element) -> list[str]:
    return [e.text for e in root.walk() if (e.attributes.get("class") or "").startswith("call ")]
