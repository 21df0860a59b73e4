"""HTML and SVG from Python: whatever is not made here is escaped, so no name in a journal can become an element."""

from __future__ import annotations

import html
import re
from typing import Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID: Final = ("link", "meta")
_CHILDLESS: Final = ("circle", "line", "path", "rect")  # of SVG, which close themselves


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """The value as text: escaped, and what HTML cannot hold (control characters, half of a pair) shown as U+FFFD."""
    return value if isinstance(value, Markup) else Markup(html.escape(_UNPRINTABLE.sub("\ufffd", str(value))))


def tag(name: str, /, *inner: object, **attributes: object) -> Markup:
    """One element.

    Arguments:
        name: of the element.
        inner: its content, in order; None is left out.
        attributes: a trailing underscore is dropped (``class_``), others become hyphens (``aria_label``); None and
            False are left out, True has no value.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    if name in _CHILDLESS and not inner:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{join(*inner)}</{name}>")


def join(*parts: object) -> Markup:
    """Pieces one after the other; None is left out."""
    return Markup("".join(text(part) for part in parts if part is not None))


def _attribute(key: str, value: object) -> str:
    if value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
