import pytest

from toka.store.core import (
    OpenRefused,
    UnknownScheme,
    Unsupported,
    open_store,
    repair_store,
    split_location,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["nowhere:place", "memory", "", ":", "SQLITE:x"])
async def test_an_unknown_scheme_names_what_is_installed(url):
    with pytest.raises(UnknownScheme) as caught:
        await open_store(url)
    assert caught.value.code == "store.unknown_scheme"
    assert isinstance(caught.value.details["installed"], list)


def test_a_location_is_a_place_and_options():
    assert split_location("a/b.db") == ("a/b.db", {})
    assert split_location("a.db?mode=x", ("mode",)) == ("a.db", {"mode": "x"})
    assert split_location("", ("mode",)) == ("", {})


@pytest.mark.parametrize("location", ["a?", "a?mode", "a?mode=", "a?mode=1&mode=2", "a?other=1"])
def test_options_that_make_no_sense_are_refused(location):
    with pytest.raises(OpenRefused) as caught:
        split_location(location, ("mode",))
    assert caught.value.code == "store.invalid_location"


async def test_a_backend_without_repair_says_so():
    pytest.importorskip("toka.store.memory", reason="an installed backend is asked")
    with pytest.raises(Unsupported, match="'memory'"):
        repair_store("memory:")
    with pytest.raises(UnknownScheme):
        repair_store("nothing:here")
