import pickle

import pytest

from toka.store import core
from toka.store.core import (
    ANY,
    Damaged,
    DuplicateEvent,
    ForeignFile,
    NewerFormat,
    PayloadTooLarge,
    ReadOnlyStore,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    UnknownEvent,
    UnknownParent,
    UnknownScheme,
    WrongHead,
    WrongVersion,
)

ERRORS = [
    PayloadTooLarge(2, 1, "E"),
    WrongVersion("s", 3, 4),
    WrongVersion("s", ANY, 4),
    WrongHead(1, 2),
    UnknownParent("E", "P"),
    DuplicateEvent("E", "is stored with other content"),
    UnknownScheme("odd:place", ["memory"]),
    StoreMissing("run.db"),
    StoreLocked("run.db", 7, 8, "noon"),
    ForeignFile("run.db", "it is a song"),
    NewerFormat("run.db", 2, 1),
    UnknownEvent("E"),
    StoreClosed("run.db"),
    ReadOnlyStore("run.db"),
    StoreBusy(5, 4, "appends"),
    StoreFull(5, 4, "events"),
    Damaged("run.db", "a byte is not itself", position=3),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_an_error_keeps_its_facts_through_pickling(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert (str(copy), copy.code, copy.details) == (str(error), error.code, error.details)


def test_codes_are_stable_and_belong_to_one_class_each():
    classes = [
        value
        for name, value in vars(core).items()
        if isinstance(value, type) and issubclass(value, StoreError)
    ]
    codes = {each.default_code for each in classes}
    assert len(codes) == len(classes)
    assert all(code.startswith("store.") for code in codes)
    assert {"store.wrong_version", "store.locked", "store.damaged", "store.failed"} <= codes


def test_facts_have_names():
    assert StoreLocked("run.db", 7, 8).pid == 7
    assert StoreLocked("run.db", None, None).since is None
    assert Damaged("run.db", "it is torn").position is None
