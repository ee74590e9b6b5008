"""What every request of one server is answered from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext
    from toka.tools._registry import ToolRegistry
    from toka.tools.mcp.server._catalogue import HeaderCatalogue
    from toka.tools.mcp.server._offers import Completions, Prompts, Resources
    from toka.tools.mcp.server._seal import Seal
    from toka.tools.mcp.server._subscriptions import Subscriptions
    from toka.tools.mcp.server._tasks import TaskBoard


@attrs.frozen(kw_only=True)
class ServerOptions:
    """How a server presents itself and does its work."""

    name: str = "toka"
    version: str = "0"
    instructions: str = ""
    """For the model of the client: how the tools belong together."""
    resources: Resources | None = None
    prompts: Prompts | None = None
    completions: Completions | None = None
    explain_refusals: bool = False
    """Whether a caller is told what permission was missing. It names what links lead to."""
    patience_ns: int | None = 5 * NANOSECONDS
    """How long a client that knows tasks waits for a call before it gets a task instead; None for
    as long as it takes."""
    page_size: int = attrs.field(default=100, validator=attrs.validators.ge(1))
    list_ttl_ms: int = attrs.field(default=60_000, validator=attrs.validators.ge(0))
    """How long a client may take a list for the current one without asking again."""
    seal_key: bytes | None = attrs.field(default=None, repr=False)
    """At least 32 secret bytes, the same on every server that may get a later round of a call."""


@attrs.frozen(eq=False)
class Host:
    """The parts of one server."""

    registry: ToolRegistry
    context: ToolContext
    options: ServerOptions
    seal: Seal
    board: TaskBoard
    subscriptions: Subscriptions
    headers: HeaderCatalogue
