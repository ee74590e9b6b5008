"""Tokens, limits and revocations beside those of others, in CPU time of one core."""

from __future__ import annotations

import time
import tracemalloc
from functools import cache, partial
from itertools import cycle
from typing import TYPE_CHECKING

import attrs

from benchmarks.security_peers import (
    biscuit,
    joserfc_issue,
    joserfc_validate,
    limits_hit,
    pyjwt_issue,
    pyjwt_validate,
)
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
from toka.rate_limiter import HOUR, MINUTE, Limit, Limiter, MemoryStorage
from toka.revocation import Revocation, RevocationIndex
from toka.types import SystemClock
from workshop.measure import Measure, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import Json
    from workshop.measure import Subject

TURNS = 3_000
CACHED_TURNS = 50_000
KEYS = 100_000
MANY = 1_000_000
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


def hit_one_key() -> Callable[[], object]:
    limiter = Limiter([Limit("api", 1_000_000, MINUTE)], MemoryStorage())
    return partial(limiter.hit, {"key": "alice"})


def hit_many_keys() -> Callable[[], object]:
    limiter = Limiter([Limit("api", 600, HOUR)], MemoryStorage())
    everybody = [f"user-{number}" for number in range(KEYS)]
    for key in everybody:
        limiter.hit({"key": key})
    turn = cycle(everybody)
    return lambda: limiter.hit({"key": next(turn)})


@cache
def revocations(count: int) -> tuple[RevocationIndex, float]:
    """Return what so many revocations are looked up in, and how many megabytes it takes."""
    tracemalloc.start()
    index = RevocationIndex()
    for number in range(count):
        index.add(Revocation.of_token(token_name(number)), NOW)
    taken = tracemalloc.get_traced_memory()[0] / 1_000_000
    tracemalloc.stop()
    return index, taken


def token_name(number: int) -> str:
    return f"01JABCDEFGHJKMNPQRSTVW{number:08d}"


def look_up(count: int) -> Callable[[], Callable[[], object]]:
    """Return what prepares looking tokens up, every second of which was revoked."""

    def prepare() -> Callable[[], object]:
        index, _ = revocations(count)
        step = max(1, 2 * count // TURNS)
        tokens = [attrs.evolve(CLAIMS, token_id=token_name(n * step)) for n in range(TURNS)]
        turn = cycle(tokens)
        return lambda: index.find(next(turn))

    return prepare


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "HS256: issue a token",
            "tokens/s",
            {
                "ours": per_second(TURNS, lambda: lambda: ISSUER.issue(CLAIMS)),
                "joserfc": per_second(TURNS, lambda: joserfc_issue(SECRET, KEY.kid, wire())),
                "PyJWT": per_second(TURNS, lambda: pyjwt_issue(SECRET, KEY.kid, wire())),
            },
            [at_least(0.9, times="joserfc"), at_least(1, times="PyJWT")],
        ),
        Measure(
            "HS256: validate a token with all checks, uncached",
            "tokens/s",
            {
                "ours": per_second(TURNS, validate),
                "joserfc": per_second(TURNS, lambda: joserfc_validate(SECRET, TOKEN)),
                "PyJWT": per_second(TURNS, lambda: pyjwt_validate(SECRET, TOKEN)),
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
        Measure(
            "limiter in memory, one key (limits: its fixed window)",
            "hits/s",
            {
                "ours": per_second(CACHED_TURNS, hit_one_key),
                "limits": per_second(CACHED_TURNS, limits_hit),
            },
            [at_least(4, times="limits")],
            runs=15,
        ),
        Measure(
            f"limiter in memory, {KEYS:,} keys",
            "hits/s",
            {"ours": per_second(KEYS, hit_many_keys)},
            [at_least(400_000)],
        ),
        Measure(
            f"{MANY:,} revocations in memory",
            "MB",
            {"ours": lambda: revocations(MANY)[1]},
            [at_most(200)],
        ),
        Measure(
            f"look a token up among {MANY:,} revocations, and among 1,000",
            "tokens/s",
            {
                "ours": per_second(CACHED_TURNS, look_up(MANY)),
                "among 1,000": per_second(CACHED_TURNS, look_up(1_000)),
            },
            [at_least(0.5, times="among 1,000")],
        ),
    ]
