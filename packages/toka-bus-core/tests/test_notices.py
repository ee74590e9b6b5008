import math

import anyio
import pytest

from toka.bus.core import (
    Bus,
    BytesTransferred,
    Category,
    Check,
    InvalidNotice,
    MemoryAllocated,
    Notice,
    ProcessorUsed,
    Resource,
    ResourceExhausted,
    Severity,
    SystemFailed,
    Transfer,
    ValidationFailed,
)

DAY = 24 * 3600 * 10**9

LARGEST = {
    SystemFailed: {
        "category": Category.OTHER,
        "severity": Severity.CRITICAL,
        "code": "c" * 100,
        "component": "c" * 200,
        "metadata": {f"{index:0100}": "v" * 1_000 for index in range(50)},
    },
    ValidationFailed: {"check": Check.OTHER, "data": "d" * 1_000, "expected": "e" * 1_000},
    ResourceExhausted: {
        "resource": Resource.OTHER,
        "requested": 10**12,
        "available": 10**12,
        "agent": "a" * 256,
    },
    MemoryAllocated: {"agent": "a" * 256, "amount": 10**12, "total": 10**12},
    ProcessorUsed: {"agent": "a", "percent": 100.0, "duration": DAY},
    BytesTransferred: {
        "agent": "a",
        "transfer": Transfer.OTHER,
        "size": 10**11,
        "duration": DAY,
    },
}

TOO_MUCH = [
    (SystemFailed, "category", "other"),
    (SystemFailed, "severity", Category.OTHER),
    (SystemFailed, "code", ""),
    (SystemFailed, "code", "c" * 101),
    (SystemFailed, "component", ""),
    (SystemFailed, "component", "c" * 201),
    (SystemFailed, "metadata", {str(index): "" for index in range(51)}),
    (SystemFailed, "metadata", {"k" * 101: ""}),
    (SystemFailed, "metadata", {"": ""}),
    (SystemFailed, "metadata", {"k": "v" * 1_001}),
    (SystemFailed, "metadata", {"k": 1}),
    (SystemFailed, "metadata", {b"k": "v"}),
    (ValidationFailed, "check", "other"),
    (ValidationFailed, "data", "d" * 1_001),
    (ValidationFailed, "expected", "e" * 1_001),
    (ResourceExhausted, "requested", 10**12 + 1),
    (ResourceExhausted, "available", -1),
    (ResourceExhausted, "agent", ""),
    (MemoryAllocated, "amount", 10**12 + 1),
    (MemoryAllocated, "total", 1.5),
    (MemoryAllocated, "agent", "a" * 257),
    (ProcessorUsed, "percent", 100.1),
    (ProcessorUsed, "percent", -0.1),
    (ProcessorUsed, "percent", math.nan),
    (ProcessorUsed, "duration", DAY + 1),
    (BytesTransferred, "size", 10**11 + 1),
    (BytesTransferred, "duration", True),
    (BytesTransferred, "time", -1),
]


@pytest.mark.parametrize("cls", LARGEST, ids=lambda cls: cls.__name__)
def test_a_notice_at_its_limits_is_made(cls):
    notice = cls(time=1, **LARGEST[cls])
    assert isinstance(notice, Notice)
    assert notice.kind.endswith(".v1")


@pytest.mark.parametrize(("cls", "field", "value"), TOO_MUCH)
def test_a_notice_beyond_a_limit_is_not_made(cls, field, value):
    with pytest.raises(InvalidNotice) as caught:
        cls(**{"time": 1, **LARGEST[cls], field: value})
    assert caught.value.code == "bus.invalid_notice"
    assert caught.value.details["field"] == field


def test_every_kind_of_notice_is_its_own():
    assert len({cls.kind for cls in LARGEST}) == len(LARGEST)


def test_a_notice_of_another_day_is_refused():
    notice = MemoryAllocated(time=2 * DAY, **LARGEST[MemoryAllocated])
    notice.check_time(DAY)
    notice.check_time(3 * DAY)
    for now in (DAY - 1, 3 * DAY + 1):
        with pytest.raises(InvalidNotice):
            notice.check_time(now)


def test_what_was_given_can_be_changed_without_changing_the_notice():
    metadata = {"a": "b"}
    notice = SystemFailed(time=1, **{**LARGEST[SystemFailed], "metadata": metadata})
    metadata["a"] = "c" * 2_000
    assert notice.metadata == {"a": "b"}


def test_notices_are_chosen_by_kind():
    async def main() -> list[object]:
        bus = Bus[Notice]()
        with bus.subscribe("memory.") as heard:
            bus.publish([cls(time=1, **fields) for cls, fields in LARGEST.items()])
            return list(await heard.receive())

    assert [type(each) for each in anyio.run(main)] == [MemoryAllocated]
