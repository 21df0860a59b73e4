"""How ``--help`` lays out its panels."""

from typing import Any


def lay_out() -> None:
    """Has Typer show every name of an option in full, one below the other, on 80 columns too.

    It gives an option's names four columns of a table, and cuts off what does not fit. The table that it takes is
    replaced; there is no setting for it.
    """
    from rich.table import Table
    from rich.text import Text
    from typer import rich_utils

    class Panel(Table):
        def add_row(self, *cells: Any, **style: Any) -> None:
            if len(cells) < 6:  # a command, not an option
                super().add_row(*cells, **style)
                return
            *required, name, short, off, short_off, kind, said = cells
            names = [part for one in (name, off, short_off) for part in one.split(",") if part]
            super().add_row(*required, Text("\n").join(names), short, kind, said, **style)
            for column in self.columns[:-2]:  # what it is and what it does give way
                column.no_wrap = True

    vars(rich_utils)["Table"] = Panel
