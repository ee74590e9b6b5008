"""Tools of OpenAPI documents, for the commands that list tools and call them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from toka.cli._show import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.tools import ToolRegistry

F = TypeVar("F", bound="Callable[..., object]")


def openapi_options(function: F) -> F:
    """Add `--openapi`, `--server` and `--secret`."""
    function = click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="SCHEME=NAME",
        help="Fill a security scheme of the document with the value of TOKA_SECRET_NAME.",
    )(function)
    function = click.option("--server", default="", help="The URL before the document's paths.")(
        function
    )
    return click.option(
        "--openapi",
        type=click.Path(path_type=Path),
        help="Take the tools of this OpenAPI document, in JSON or YAML.",
    )(function)


def registry_of(openapi: Path | None, server: str, secrets: tuple[str, ...]) -> ToolRegistry:
    """Return the tools of a document, or without one those that come with Toka.

    What in the document is no tool, and why, goes to standard error.
    """
    from toka.tools import ToolRegistry  # noqa: PLC0415 - not for --help

    if openapi is None:
        if server or secrets:
            raise click.UsageError("--server and --secret belong to --openapi.")
        return ToolRegistry.builtin()
    from toka.tools.openapi import OpenApiOptions, load_openapi  # noqa: PLC0415

    made = load_openapi(openapi, OpenApiOptions(server=server, security=_by_scheme(secrets)))
    for one in made.skipped:
        click.echo(printable(f"{one.operation} is no tool: {one.reason}", 400), err=True)
    return ToolRegistry.of(made.tools)


def _by_scheme(secrets: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in secrets:
        scheme, separator, name = text.partition("=")
        if not separator or not scheme:
            # Whatever it is, it may be a secret, so it is not repeated.
            raise click.UsageError("--secret takes SCHEME=NAME, and the value is not for here.")
        found[scheme] = name
    return found
