"""A token for one command: made here, checked here, and good for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.capability.core import Claims
    from toka.types import Clock


def claims_for(permissions: Sequence[str], clock: Clock) -> Claims:
    """Return what a token with these permissions says, after it went through every check.

    Raises:
        PermissionSyntaxError: A text is no permission.
    """
    from toka.auth import Authenticator  # noqa: PLC0415 - not for --help
    from toka.capability.jwt_hs256 import (  # noqa: PLC0415
        Hs256Key,
        JwtHs256Issuer,
        JwtHs256Validator,
    )
    from toka.orchestration import TokenDesk  # noqa: PLC0415

    key = Hs256Key.generate()  # for this one command, never written
    token = TokenDesk(JwtHs256Issuer(key, clock), clock).mint("operator", permissions)
    return Authenticator([JwtHs256Validator([key], clock)], clock).authenticate(token)
