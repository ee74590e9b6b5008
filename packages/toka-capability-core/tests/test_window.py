import struct
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import (
    EVERY_DAY,
    InvalidWindowError,
    TimeWindow,
    closes_at,
    first_leak,
    is_open,
)

NIGHT = TimeWindow("22:00", "06:00", "America/New_York")
DAY = 86_400


def at(zone, *clock, fold=0):
    return int(datetime(*clock, tzinfo=ZoneInfo(zone), fold=fold).timestamp())


def open_spans(window, begin, end):
    """Return the spans in which a window is open, by asking about every minute and edge second."""
    spans = []
    for instant in range(begin, end, 60):
        if not window.contains(instant):
            continue
        if spans and spans[-1][1] == instant:
            spans[-1] = (spans[-1][0], instant + 60)
        else:
            spans.append((instant, instant + 60))
    return spans


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [(1772938800, 1772964000, 7), (1793498400, 1793530800, 9)],
    ids=["2026-03-07", "2026-10-31"],
)
def test_attack_4_2_11_a_night_over_a_change_of_clocks_has_its_exact_length(begin, end, hours):
    assert open_spans(NIGHT, begin - 7_200, end + 7_200) == [(begin, end)]
    assert end - begin == hours * 3_600
    inside = [begin, begin + 1, end - 1]
    assert [NIGHT.contains(second) for second in inside] == [True] * 3
    assert not NIGHT.contains(begin - 1)
    assert not NIGHT.contains(end)


def test_attack_4_2_12_an_hour_that_clocks_skip_opens_nothing():
    window = TimeWindow("02:00", "03:00", "America/New_York")
    sunday = at("America/New_York", 2026, 3, 8)
    assert open_spans(window, sunday, sunday + 23 * 3_600) == []
    assert len(open_spans(window, sunday - DAY, sunday)) == 1


def test_attack_4_2_12_an_hour_that_clocks_show_twice_is_open_twice():
    window = TimeWindow("01:00", "02:00", "America/New_York")
    sunday = at("America/New_York", 2026, 11, 1)
    assert open_spans(window, sunday, sunday + DAY) == [(1793509200, 1793516400)]


def test_attack_4_2_13_the_weekday_is_that_of_the_start():
    window = TimeWindow("22:00", "06:00", "America/New_York", (5,))
    assert window.contains(at("America/New_York", 2026, 6, 6, 1))  # Saturday
    assert not window.contains(at("America/New_York", 2026, 6, 5, 1))  # Friday
    assert window.contains(at("America/New_York", 2026, 6, 5, 22))
    assert not window.contains(at("America/New_York", 2026, 6, 6, 22))


@pytest.mark.parametrize("start", ["24:00", "6:0", "25:00", "22:00 ", "06:00", "", "٠٦:00", "6:00"])
def test_attack_4_2_14_times_outside_the_grammar_are_refused(start):
    with pytest.raises(InvalidWindowError):
        TimeWindow(start, "06:00")


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "UTC+5",
        "../etc/passwd",
        "/etc/localtime",
        "Mars/Base",
        "localtime",
        "posixrules",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        "Factory",
        "Europe",
        "Europe/../UTC",
        "America/New_York\0",
        "America/New_York ",
        "tzdata.zi",
        "U" * 100,
    ],
)
def test_attack_4_2_15_what_names_no_zone_is_refused(zone):
    with pytest.raises(InvalidWindowError):
        TimeWindow("22:00", "06:00", zone)


def test_attack_4_2_15_without_zone_data_nothing_opens(monkeypatch):
    monkeypatch.setattr("zoneinfo._tzpath.TZPATH", ())
    monkeypatch.setattr("importlib.resources.open_binary", _no_package, raising=False)
    monkeypatch.setattr("importlib.resources.files", _no_package)
    with pytest.raises(InvalidWindowError, match="not known"):
        TimeWindow("22:00", "06:00", "Antarctica/Troll")


def _no_package(*_arguments):
    raise ModuleNotFoundError("tzdata")


def test_attack_4_2_15_clocks_may_change_by_half_an_hour():
    window = TimeWindow("22:00", "06:00", "Australia/Lord_Howe")
    begin = at("Australia/Lord_Howe", 2026, 4, 4, 22)
    end = at("Australia/Lord_Howe", 2026, 4, 5, 6)
    assert end - begin == 8.5 * 3_600
    assert open_spans(window, begin - 3_600, end + 3_600) == [(begin, end)]


def test_attack_4_2_15_a_day_that_never_was_neither_opens_nor_closes_a_window():
    night = ("22:00", "06:00", "Pacific/Apia")
    begin = at("Pacific/Apia", 2011, 12, 29, 22)
    end = at("Pacific/Apia", 2011, 12, 31, 6)
    assert end - begin == 8 * 3_600
    around = (begin - 12 * 3_600, end + 12 * 3_600)
    assert open_spans(TimeWindow(*night, days=(4,)), *around) == [(begin, end)]
    assert open_spans(TimeWindow(*night, days=(5,)), *around) == []
    assert open_spans(TimeWindow("08:00", "17:00", "Pacific/Apia", (5,)), *around) == []


def test_attack_4_2_15_a_day_without_midnight_begins_at_one():
    sunday = at("America/Sao_Paulo", 2018, 11, 4, 1)
    early = TimeWindow("00:00", "06:00", "America/Sao_Paulo", (7,))
    assert open_spans(early, sunday - 3_600, sunday + 8 * 3_600) == [(sunday, sunday + 5 * 3_600)]
    night = TimeWindow("22:00", "06:00", "America/Sao_Paulo", (6,))
    spans = open_spans(night, sunday - 4 * 3_600, sunday + 8 * 3_600)
    assert spans == [(sunday - 2 * 3_600, sunday + 5 * 3_600)]


def test_attack_4_2_16_a_time_without_a_zone_is_no_instant():
    with pytest.raises(InvalidWindowError, match="zone"):
        NIGHT.contains(datetime(2026, 3, 7, 23))  # noqa: DTZ001 - the fault under test


def test_attack_4_2_16_the_second_pass_of_an_hour_is_an_instant_of_its_own():
    zone = "America/New_York"
    first = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo(zone))
    second = first.replace(fold=1)
    assert first == second
    assert closes_at([TimeWindow("01:00", "01:45", zone)], 1793509200, 1793520000) == 1793511900
    window = TimeWindow("05:30", "06:00", "UTC")
    assert window.contains(first)
    assert not window.contains(second)


def test_attack_4_2_17_equal_hours_of_two_zones_leak_where_clocks_change_apart():
    new_york = TimeWindow("09:00", "17:00", "America/New_York")
    berlin = TimeWindow("15:00", "23:00", "Europe/Berlin")
    winter = at("UTC", 2026, 2, 1)
    assert first_leak([berlin], [new_york], winter, winter + DAY) is None
    between = at("UTC", 2026, 3, 15)  # New York has changed its clocks, Berlin not yet
    assert first_leak([berlin], [new_york], between, between + DAY) == between + 21 * 3_600
    assert first_leak([new_york], [berlin], between, between + DAY) == between + 13 * 3_600


def test_attack_4_2_17_a_window_that_is_wider_at_one_end_leaks():
    begin = at("America/New_York", 2026, 6, 5, 12)
    for wider in ("21:59", "22:00"), ("06:00", "06:01"):
        child = TimeWindow(min("22:00", wider[0]), "06:01", NIGHT.zone)
        assert first_leak([child], [NIGHT], begin, begin + DAY) is not None


def test_a_night_contains_the_morning_after_though_no_text_says_so():
    friday = TimeWindow("22:00", "06:00", days=(5,))
    saturday = TimeWindow("01:00", "05:00", days=(6,))
    sunday = TimeWindow("01:00", "05:00", days=(7,))
    begin = at("UTC", 2026, 6, 5)
    assert not friday.includes(saturday)
    assert first_leak([saturday], [friday], begin, begin + 3 * DAY) is None
    assert first_leak([sunday], [friday], begin, begin + 3 * DAY) == begin + 2 * DAY + 3_600


def test_two_windows_together_may_contain_what_neither_does():
    begin = at("UTC", 2026, 6, 5)
    parts = [TimeWindow("08:00", "12:00"), TimeWindow("12:00", "18:00")]
    assert first_leak([TimeWindow("09:00", "17:00")], parts, begin, begin + DAY) is None
    assert first_leak([], parts, begin, begin + DAY) == begin
    assert first_leak(parts, [], begin, begin + DAY) is None


@pytest.mark.parametrize("days", [(), (0,), (8,), (2, 1), (1, 1)])
def test_days_that_are_no_weekdays_are_refused(days):
    with pytest.raises(InvalidWindowError, match="weekdays"):
        TimeWindow("08:00", "09:00", days=days)


def test_a_window_reads_as_text():
    assert str(NIGHT) == "22:00-06:00 America/New_York"
    assert str(TimeWindow("08:00", "09:00", days=(1, 5))) == "08:00-09:00 UTC on 1,5"


def test_a_window_up_to_midnight_is_overnight():
    evening = TimeWindow("20:00", "00:00", days=(5,))
    friday = at("UTC", 2026, 6, 5)
    assert open_spans(evening, friday, friday + 2 * DAY) == [(friday + 20 * 3_600, friday + DAY)]


# A second definition, by walking through the day in the window's own clocks.


def naive_contains(window, instant):
    local = datetime.fromtimestamp(instant, ZoneInfo(window.zone))
    clock = f"{local:%H:%M}"
    if window.start < window.end:
        return window.start <= clock < window.end and local.isoweekday() in window.days
    if clock >= window.start:
        return local.isoweekday() in window.days
    earlier = local
    while earlier.date() == local.date():
        instant -= 900
        earlier = datetime.fromtimestamp(instant, ZoneInfo(window.zone))
    return clock < window.end and earlier.isoweekday() in window.days


ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"]
clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
pairs = st.tuples(clocks, clocks).filter(lambda pair: pair[0] != pair[1])
days = st.sets(st.sampled_from(EVERY_DAY), min_size=1).map(lambda found: tuple(sorted(found)))
windows = st.builds(
    lambda pair, zone, days: TimeWindow(pair[0], pair[1], zone, days),
    pairs,
    st.sampled_from(ZONES),
    days,
)
# Around days on which some of the zones change their clocks.
CHANGES = [1772953200, 1774746000, 1775314800, 1793512800, 1791039600, 1771120800, 1774144800]
instants = st.builds(
    lambda change, shift: change + shift,
    st.sampled_from(CHANGES),
    st.integers(-2 * DAY, 2 * DAY),
)


@given(windows, instants)
def test_a_window_is_open_when_a_clock_on_the_wall_says_so(window, instant):
    assert window.contains(instant) == naive_contains(window, instant)


@given(windows, instants, st.integers(1, 3 * DAY))
def test_nothing_changes_between_edges(window, begin, length):
    edges = sorted({begin, *window.edges(begin, begin + length), begin + length})
    for low, high in pairwise(edges):
        if begin <= low < high <= begin + length:
            probes = (low, (low + high) // 2, high - 1)
            assert len({window.contains(probe) for probe in probes}) == 1


@given(st.lists(windows, min_size=1, max_size=3), st.lists(windows, max_size=3), instants)
def test_a_leak_is_found_exactly_when_there_is_one(inner, outer, begin):
    end = begin + DAY
    leak = first_leak(inner, outer, begin, end)
    found = [
        second
        for second in range(begin, end, 60)
        if is_open(inner, second) and not is_open(outer, second)
    ]
    if leak is None:
        assert not found
    else:
        assert is_open(inner, leak)
        assert not is_open(outer, leak)
        assert not found or leak <= found[0]


@given(windows, windows, instants)
def test_a_window_that_includes_another_by_its_text_is_open_with_it(outer, inner, instant):
    if outer.includes(inner) and inner.contains(instant):
        assert outer.contains(instant)


@given(st.lists(windows, max_size=2), instants, st.integers(1, DAY))
def test_what_is_open_stays_open_until_it_closes(windows, begin, length):
    close = closes_at(windows, begin, begin + length)
    assert begin <= close <= begin + length
    assert all(is_open(windows, second) for second in range(begin, close, 60))
    if close < begin + length:
        assert not is_open(windows, close)


def test_no_zone_changes_its_clocks_twice_within_an_hour():
    # What the search for changes of clocks relies on; read from the data itself.
    start = int((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=2)).timestamp())
    checked = 0
    for name in available_timezones():
        times = [time for time in _transitions(name) if time >= start]
        assert all(later - earlier >= 3_600 for earlier, later in pairwise(times))
        checked += 1
    assert checked > 300


def _transitions(zone):
    """Return the instants at which the offset changes, from a TZif file (RFC 8536)."""
    data = _zone_file(zone)
    counts = struct.unpack(">6l", data[20:44])
    gmt, standard, leaps, times, types, characters = counts
    skipped = 44 + times * 5 + types * 6 + characters + leaps * 8 + standard + gmt
    gmt, standard, leaps, times, types, characters = struct.unpack(
        ">6l", data[skipped + 20 : skipped + 44]
    )
    place = skipped + 44
    return struct.unpack(f">{times}q", data[place : place + 8 * times])


def _zone_file(zone):
    for folder in TZPATH:
        if (path := Path(folder, zone)).is_file():
            return path.read_bytes()
    return resources.files("tzdata.zoneinfo").joinpath(zone).read_bytes()
