"""Facts that concern no agent: who was admitted, who hosts the log, what extensions recorded."""

from typing import ClassVar

import attrs
import msgspec


@attrs.frozen
class TokenHop:
    """One link of a token's chain, and what it may spend."""

    token: str
    subject: str
    budget: tuple[tuple[str, int], ...] = ()


@attrs.frozen
class TokenAdmitted:
    """A token was used for the first time; this is what it said.

    With it the log alone explains who allowed every event.
    """

    kind: ClassVar[str] = "token.admitted.v1"
    token: str
    subject: str
    vault: str
    permissions: tuple[str, ...]
    untainted: tuple[str, ...]
    budget: tuple[tuple[str, int], ...]
    issued_at: int
    """Seconds since the Unix epoch, as in the token."""
    expires_at: int
    chain: tuple[TokenHop, ...] = ()
    """Who handed it to whom, the root first; empty for a token straight from its issuer."""
    holder: str | None = None
    """Thumbprint of the key whose possession was proved."""

    @property
    def accounts(self) -> tuple[TokenHop, ...]:
        """The links that state a budget: whatever the token spends, each of them pays."""
        if not self.budget:
            return ()
        links = self.chain or (TokenHop(self.token, self.subject, self.budget),)
        return tuple([link for link in links if link.budget])


@attrs.frozen
class HostOpened:
    """Somebody has become the host of the log; every lease of an earlier host is void."""

    kind: ClassVar[str] = "host.opened.v1"
    holder: str
    epoch: int


@attrs.frozen
class ExtensionRecorded:
    """A family of opcodes has recorded a fact of its own."""

    kind: ClassVar[str] = "extension.recorded.v1"
    family: str
    """The prefix that its handler is registered for."""
    name: str
    """The family's own dotted name of the fact, with a version."""
    data: msgspec.Raw
