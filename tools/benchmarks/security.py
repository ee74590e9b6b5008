"""Capability tokens beside those of others: CPU time of one core, the same claims for everybody."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from toka.auth import Authenticator
from toka.capability.core import (
    Claims,
    ExpiresAt,
    OnlyPermissions,
    PermissionSet,
    Request,
    encode_claims,
    strict_json,
)
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.types import SystemClock
from workshop.measure import Measure, NotInstalled, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import Json
    from workshop.measure import Subject

TURNS = 3_000
CACHED_TURNS = 50_000
CLOCK = SystemClock()
KEY = Hs256Key.generate()
SECRET = KEY.unsafe_secret()
NOW = int(time.time())
CLAIMS = Claims(
    subject="run/inventory",
    vault="default",
    permissions=("fs:read:/data/**", "proc:run:git"),
    issued_at=NOW,
    expires_at=NOW + 86_000,
    token_id="01JD3X8ZK5Q6T7V8W9XAYBZCDE",  # noqa: S106 - a name
)
ISSUER = JwtHs256Issuer(KEY, CLOCK)
TOKEN = ISSUER.issue(CLAIMS)
WISH = Request.parse("fs:read:/data/public/notes.txt")
PUBLIC = "fs:read:/data/public/**"


def per_second(turns: int, prepare: Callable[[], Callable[[], object]]) -> Subject:
    """Return a subject that does one thing again and again; preparing it is not counted."""
    ready: list[Callable[[], object]] = []

    def subject() -> float:
        if not ready:
            ready.append(prepare())
        work = ready[0]
        begun = time.process_time()
        for _ in range(turns):
            work()
        return turns / (time.process_time() - begun)

    return subject


def wire() -> dict[str, Json]:
    """Return the claims as the peers take them."""
    members = strict_json(encode_claims(CLAIMS))
    if not isinstance(members, dict):
        raise TypeError("claims are an object")
    return members


def joserfc_issue() -> Callable[[], object]:
    from joserfc import jwt  # noqa: PLC0415 - a peer
    from joserfc.jwk import OctKey  # noqa: PLC0415 - a peer

    key, claims, header = OctKey.import_key(SECRET), wire(), {"alg": "HS256", "kid": KEY.kid}
    return lambda: jwt.encode(header, claims, key)


def joserfc_validate() -> Callable[[], object]:
    from joserfc import jwt  # noqa: PLC0415 - a peer
    from joserfc.jwk import OctKey  # noqa: PLC0415 - a peer

    key = OctKey.import_key(SECRET)
    registry = jwt.JWTClaimsRegistry(exp={"essential": True})

    def validate() -> None:
        registry.validate(jwt.decode(TOKEN, key, algorithms=["HS256"]).claims)

    return validate


def pyjwt_issue() -> Callable[[], object]:
    try:
        import jwt  # noqa: PLC0415 - a peer
    except ImportError as missing:
        raise NotInstalled("PyJWT") from missing
    claims, header = wire(), {"kid": KEY.kid}
    return lambda: jwt.encode(claims, SECRET, algorithm="HS256", headers=header)


def pyjwt_validate() -> Callable[[], object]:
    try:
        import jwt  # noqa: PLC0415 - a peer
    except ImportError as missing:
        raise NotInstalled("PyJWT") from missing
    options: dict[str, list[str]] = {"require": ["exp"]}
    return lambda: jwt.decode(TOKEN, SECRET, algorithms=["HS256"], options=options)


def validate() -> Callable[[], object]:
    validator = JwtHs256Validator([KEY], CLOCK)
    return lambda: validator.validate(TOKEN)


def cached() -> Callable[[], object]:
    authenticator = Authenticator([JwtHs256Validator([KEY], CLOCK)], CLOCK)
    return lambda: authenticator.authenticate(TOKEN)


def delegated() -> Callable[[], object]:
    validator = DelegatedValidator(JwtHs256Validator([KEY], CLOCK))
    token = narrow(TOKEN, "bob", [OnlyPermissions((PUBLIC,))])
    token = narrow(token, "carol", [ExpiresAt(NOW + 80_000)])
    return lambda: validator.validate(token).granted.covers(WISH)


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


def microseconds_of_a_request() -> float:
    """Return how long 100 permissions think about a request that the last of them grants."""
    texts = [f"fs:read:/data/{number:03d}/*/x/**" for number in range(99)]
    granted = PermissionSet.parse([*texts, "fs:read:/data/**"])
    wishes = [Request.parse(f"fs:read:/data/public/{number}") for number in range(TURNS)]
    begun = time.process_time()
    for wish in wishes:
        if granted.covers(wish) is None:
            raise TypeError("the last permission grants it")
    return (time.process_time() - begun) / len(wishes) * 1_000_000


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "HS256: issue a token",
            "tokens/s",
            {
                "ours": per_second(TURNS, lambda: lambda: ISSUER.issue(CLAIMS)),
                "joserfc": per_second(TURNS, joserfc_issue),
                "PyJWT": per_second(TURNS, pyjwt_issue),
            },
            [at_least(0.9, times="joserfc"), at_least(1, times="PyJWT")],
        ),
        Measure(
            "HS256: validate a token with all checks, uncached",
            "tokens/s",
            {
                "ours": per_second(TURNS, validate),
                "joserfc": per_second(TURNS, joserfc_validate),
                "PyJWT": per_second(TURNS, pyjwt_validate),
            },
            [at_least(0.9, times="joserfc"), at_least(1, times="PyJWT")],
        ),
        Measure(
            "authenticate a token that was seen before",
            "tokens/s",
            {"ours": per_second(CACHED_TURNS, cached)},
            [at_least(500_000)],
        ),
        Measure(
            "a token of two hops: validate it, decide one request",
            "tokens/s",
            {"ours": per_second(TURNS, delegated), "biscuit": per_second(TURNS // 5, biscuit)},
            [at_least(2, times="biscuit")],
        ),
        Measure(
            "100 permissions against a request, uncached",
            "us",
            {"ours": microseconds_of_a_request},
            [at_most(50)],
        ),
    ]
