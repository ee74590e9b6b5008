"""The SDK's client over the one checked way of doing HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import httpx

from toka.tools._errors import HttpRequestError
from toka.tools.http._request import Hop, check_headers, send
from toka.tools.http._url import parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._context import ToolContext

# What the SDK's client writes besides: the connection and its encodings are not its business.
_OURS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)


@attrs.frozen(eq=False)
class CheckedTransport(httpx.AsyncBaseTransport):
    """Sends what httpx is asked to send to granted URLs at checked addresses, and nowhere else."""

    context: ToolContext
    limit: int
    timeout_ns: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """Credentials, which only go to where they are meant for."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; redirects are not followed, for a message goes to one address."""
        given = {name: text for name, text in request.headers.items() if name not in _OURS}
        headers = check_headers({**given, **self.headers})
        target = parse_target(str(request.url))
        hop = Hop(request.method, target, headers, await request.aread())
        answer = await send(
            hop,
            self.context.granted,
            limit=self.limit,
            timeout_ns=self.timeout_ns,
            follows=False,
        )
        exchange = answer.exchange
        if exchange.truncated:
            raise HttpRequestError(
                f"{target.origin} answered with more than {self.limit} bytes.",
                details={"origin": target.origin},
            )
        # The body is no longer compressed, and of the length that it has here.
        left = {k: v for k, v in exchange.headers.items() if k not in ("content-encoding", *_OURS)}
        return httpx.Response(exchange.status, headers=left, content=exchange.body, request=request)
