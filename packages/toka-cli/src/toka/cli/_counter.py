"""How far long work is, on a terminal; nothing where nobody looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def event_counter(doing: str, *, as_json: bool) -> Callable[[int, int], None] | None:
    """Return what shows the events done and their total, or None if nobody is to see it.

    Args:
        doing: What is done, as in `replaying`.
        as_json: The output is for a program.
    """
    if as_json or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\r" if done < total else "\n"
        click.echo(f"{doing} {done:,} of {total:,} events{end}", err=True, nl=False)

    return show
