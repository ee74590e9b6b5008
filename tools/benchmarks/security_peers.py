"""What Toka's tokens and limits are measured beside: JWTs of joserfc and PyJWT, Biscuits, limits.

Each function prepares and returns the work of one turn.
"""
# Peers are installed for benchmarks only, so their types cannot be known where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from workshop.measure import NotInstalled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.types import Json


def joserfc_issue(secret: bytes, kid: str, claims: Mapping[str, Json]) -> Callable[[], object]:
    from joserfc import jwt  # noqa: PLC0415 - a peer
    from joserfc.jwk import OctKey  # noqa: PLC0415 - a peer

    key, header = OctKey.import_key(secret), {"alg": "HS256", "kid": kid}
    return lambda: jwt.encode(header, dict(claims), key)


def joserfc_validate(secret: bytes, token: str) -> Callable[[], object]:
    from joserfc import jwt  # noqa: PLC0415 - a peer
    from joserfc.jwk import OctKey  # noqa: PLC0415 - a peer

    key = OctKey.import_key(secret)
    registry = jwt.JWTClaimsRegistry(exp={"essential": True})

    def validate() -> None:
        registry.validate(jwt.decode(token, key, algorithms=["HS256"]).claims)

    return validate


def pyjwt_issue(secret: bytes, kid: str, claims: Mapping[str, Json]) -> Callable[[], object]:
    try:
        import jwt  # noqa: PLC0415 - a peer
    except ImportError as missing:
        raise NotInstalled("PyJWT") from missing
    header = {"kid": kid}
    return lambda: jwt.encode(dict(claims), secret, algorithm="HS256", headers=header)


def pyjwt_validate(secret: bytes, token: str) -> Callable[[], object]:
    try:
        import jwt  # noqa: PLC0415 - a peer
    except ImportError as missing:
        raise NotInstalled("PyJWT") from missing
    return lambda: jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp"]})


def limits_hit() -> Callable[[], object]:
    try:
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 - a peer
        from limits.storage import MemoryStorage  # noqa: PLC0415 - a peer
        from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415 - a peer
    except ImportError as missing:
        raise NotInstalled("limits") from missing
    limiter, item = FixedWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(1_000_000)
    return partial(limiter.hit, item, "alice")


def biscuit() -> Callable[[], object]:
    """The same chain: who and what by the authority, a path, an expiry; then the same wish."""
    try:
        import biscuit_auth as biscuit  # noqa: PLC0415 - a peer
    except ImportError as missing:
        raise NotInstalled("biscuit-python") from missing
    pair, end = biscuit.KeyPair(), datetime.now(UTC) + timedelta(days=1)
    authority = biscuit.BiscuitBuilder(
        'user({u}); right("read", "/data"); check if time($t), $t < {e}', {"u": "alice", "e": end}
    )
    path = biscuit.BlockBuilder('check if resource($r), $r.starts_with("/data/public/")')
    expiry = biscuit.BlockBuilder("check if time($t), $t < {e}", {"e": end})
    text = authority.build(pair.private_key).append(path).append(expiry).to_base64()

    def authorize() -> object:
        token = biscuit.Biscuit.from_base64(text, pair.public_key)
        builder = biscuit.AuthorizerBuilder(
            'time({n}); resource("/data/public/notes.txt"); operation("read");'
            ' allow if user($u), right("read", $d), resource($r), $r.starts_with($d)',
            {"n": datetime.now(UTC)},
        )
        # By default a millisecond of wall time, which a busy machine exceeds at random.
        limits = builder.limits()
        limits.max_time = timedelta(seconds=5)
        builder.set_limits(limits)
        return builder.build(token).authorize()

    return authorize
