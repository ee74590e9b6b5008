"""A second, naive definition of what a chain allows, held against the validator.

Nothing is folded, sorted or remembered: a wish is allowed if the root allows it and every caveat of
every hop does, each judged alone. It shares no rule with the package: permissions are regular
expressions, windows are read off a clock on the wall.
"""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toka.capability.core import (
    Claims,
    ExpiresAt,
    NotBefore,
    OnlyDuring,
    OnlyPermissions,
    OnlyUntainted,
    TimeWindow,
    TokenRefusedError,
)
from toka.capability.delegation import DelegatedValidator
from toka.capability.delegation._chain import ChainText
from toka.capability.delegation._link import Link
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.types import NANOSECONDS

START = 1_772_900_000  # the day before New York changes its clocks
LIFE = 80_000
PERMISSIONS = ("fs:read:/**", "fs:read:/a/**", "fs:read:/a/x", "fs:write:/a/*", "fs:write:/a/x")
WISHES = ("fs:read:/a/x", "fs:read:/a/y", "fs:read:/b", "fs:write:/a/x", "fs:write:/a/y")


class FixedClock:
    def __init__(self, seconds):
        self.seconds = seconds

    def now(self):
        return self.seconds * NANOSECONDS

    def monotonic(self):
        return 0

    async def sleep(self, nanoseconds):
        raise NotImplementedError


def naive_covers(permissions, wish):
    patterns = [
        re.escape(text).replace(r"/\*\*", "(/.*)?").replace(r"\*", "[^/]*") for text in permissions
    ]
    return any(re.fullmatch(pattern, wish) for pattern in patterns)


def naive_open(window, instant):
    local = datetime.fromtimestamp(instant, ZoneInfo(window.zone))
    clock = f"{local:%H:%M}"
    if window.start < window.end:
        return window.start <= clock < window.end
    return clock >= window.start or clock < window.end


def naive_allows(caveat, wish, instant, tainted):
    match caveat:
        case OnlyPermissions(permissions, untainted):
            guarded = not tainted and naive_covers(untainted, wish)
            return guarded or naive_covers(permissions, wish)
        case OnlyUntainted():
            return not tainted
        case ExpiresAt(seconds):
            return instant < seconds
        case NotBefore(seconds):
            return instant >= seconds
        case OnlyDuring(windows):
            return any(naive_open(window, instant) for window in windows)
    raise AssertionError(caveat)


clocks = st.sampled_from(["00:00", "01:30", "02:30", "06:00", "12:00", "20:00", "23:59"])
windows = (
    st.tuples(clocks, clocks, st.sampled_from(["UTC", "America/New_York", "Europe/Berlin"]))
    .filter(lambda parts: parts[0] != parts[1])
    .map(lambda parts: TimeWindow(*parts))
)
some = st.lists(st.sampled_from(PERMISSIONS), max_size=3, unique=True).map(tuple)
caveats = st.tuples(
    st.none() | st.builds(OnlyPermissions, some, some),
    st.none() | st.just(OnlyUntainted()),
    st.none() | st.builds(ExpiresAt, st.integers(START + 100, START + LIFE + 1)),
    st.none() | st.builds(NotBefore, st.integers(START - 1, START + LIFE)),
    st.none() | st.builds(OnlyDuring, st.lists(windows, min_size=1, max_size=2).map(tuple)),
).map(lambda found: tuple(caveat for caveat in found if caveat is not None))
KEY = Hs256Key.generate()
ROOT = Claims("p0", "v", PERMISSIONS[:1], START, START + LIFE, "t", untainted=PERMISSIONS[3:4])
TOKEN = JwtHs256Issuer(KEY, FixedClock(START)).issue(ROOT)


def presented(chain):
    token = TOKEN
    for level, hop in enumerate(chain, 1):
        link = Link(f"p{level - 1}", f"p{level}", "n", hop)
        token = ChainText.parse(token).followed_by(link.encode())
    return token


def validated(token, instant):
    validator = DelegatedValidator(JwtHs256Validator([KEY], FixedClock(instant)))
    try:
        return validator.validate(token)
    except TokenRefusedError as error:
        return error


OF_THE_MOMENT = {"capability.expired", "capability.not_yet_valid", "capability.outside_window"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(caveats, min_size=1, max_size=3), st.integers(START, START + LIFE - 1))
def test_a_chain_allows_exactly_what_all_its_caveats_allow(chain, instant):
    answer = validated(presented(chain), instant)
    everything = [
        OnlyPermissions(ROOT.permissions, ROOT.untainted),
        *(caveat for hop in chain for caveat in hop),
    ]
    for wish in WISHES:
        for tainted in (False, True):
            naive = all(naive_allows(one, wish, instant, tainted) for one in everything)
            if isinstance(answer, Claims):
                granted = answer.granted.covers(wish) is not None
                guarded = not tainted and answer.guarded.covers(wish) is not None
                assert (granted or guarded) == naive
            elif answer.code in OF_THE_MOMENT:
                assert not naive


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(caveats, min_size=1, max_size=3), st.integers(START, START + LIFE - 1))
def test_a_valid_child_has_valid_ancestors_that_allow_as_much(chain, instant):
    child = validated(presented(chain), instant)
    if not isinstance(child, Claims):
        return
    for length in range(len(chain)):
        ancestor = validated(presented(chain[:length]), instant)
        assert isinstance(ancestor, Claims)
        for wish in WISHES:
            if child.granted.covers(wish):
                assert ancestor.granted.covers(wish)
            if child.guarded.covers(wish):
                assert ancestor.granted.covers(wish) or ancestor.guarded.covers(wish)
