"""The link that signs whoever started a service in to its dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toka.cli._data_directory import Keys
    from toka.orchestration_service import SignInLinks

SESSION_SECONDS: Final = 12 * 3_600
"""A working day; whoever stays longer signs in again."""
OPERATOR: Final = (
    "run:*:*",
    "agent:*:**",
    "event:read:**",
    "approval:resolve:**",
    "metrics:read:*",
)
"""What whoever runs a service usually wants to do with it."""
_PAGES: Final = ("tool:read:*", "key:read:*")
_UNSPECIFIED: Final = ("http://0.0.0.0:", "http://[::]:")


def sign_in_link(
    links: SignInLinks,
    keys: Keys,
    url: str,
    *,
    workspace: Path,
    artifacts: Path,
    allowed: Iterable[str],
) -> str:
    """Return a link with a session behind it.

    Args:
        links: Of the service.
        keys: What the session's token is signed with.
        url: Where browsers reach the service.
        workspace: What runs that are begun in the browser may read.
        artifacts: Where runs put what they make; they may write there.
        allowed: What else they may do.

    Raises:
        CapabilityError: One of the permissions is none.
    """
    from toka.orchestration import TokenDesk  # noqa: PLC0415 - not for --help

    for unspecified in _UNSPECIFIED:
        if url.startswith(unspecified):
            url = f"http://127.0.0.1:{url.removeprefix(unspecified)}"
    # A run may do no more than who begins it, so that the session must have what agents ask for.
    files = (f"fs:read:{workspace}", f"fs:read:{workspace}/**", f"fs:*:{artifacts}/**")
    desk = TokenDesk(keys.issuer, SystemClock(), lifetime_seconds=SESSION_SECONDS)
    return links.link(url, desk.mint("operator", (*OPERATOR, *_PAGES, *files, *allowed)))
