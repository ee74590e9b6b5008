import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.performance import InvalidFigure, Scalability, fit_scalability

LOADS = (1, 2, 4, 8, 16, 32, 64)
laws = st.builds(Scalability, st.floats(1, 1e6), st.floats(0, 0.5), st.floats(0, 0.01))


@given(laws)
def test_the_law_is_found_again_from_what_it_gives(law):
    fitted = fit_scalability([(load, law.throughput(load)) for load in LOADS])

    assert fitted.fit == pytest.approx(1)
    for load in LOADS:
        assert fitted.throughput(load) == pytest.approx(law.throughput(load), rel=1e-3)


@given(laws, st.floats(1, 1000))
def test_no_load_gives_more_than_the_most(law, load):
    assert law.throughput(load) <= law.most * (1 + 1e-9)


def test_a_case_by_hand():
    # X(4) = 100 * 4 / (1 + 0.1 * 3 + 0.01 * 4 * 3) = 400 / 1.42
    law = Scalability(100, 0.1, 0.01)

    assert law.throughput(4) == pytest.approx(281.690, abs=0.001)
    assert law.best_load == pytest.approx(math.sqrt(0.9 / 0.01))


def test_linear_growth_has_no_end():
    law = fit_scalability([(load, 50 * load) for load in LOADS])

    assert (law.contention, law.coherence) == (pytest.approx(0), pytest.approx(0))
    assert law.most > 1e6


def test_more_than_linear_growth_is_not_given_a_negative_meaning():
    law = fit_scalability([(1, 10), (2, 25), (4, 70), (8, 200)])

    assert (law.contention, law.coherence) == (0, 0)
    assert law.fit < 1


def test_contention_alone_ends_at_its_inverse():
    assert Scalability(100, 0.05, 0).most == pytest.approx(2000)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 10), (2, 20)],
        [(2, 10), (2, 11), (2, 12)],
        [(0.5, 10), (2, 20), (3, 30)],
        [(1, 0), (2, 20), (3, 30)],
        [(1, 10), (2, float("nan")), (3, 30)],
    ],
)
def test_what_cannot_be_fitted_is_refused(points):
    with pytest.raises(InvalidFigure):
        fit_scalability(points)


def test_the_law_begins_at_one():
    with pytest.raises(InvalidFigure):
        Scalability(1, 0, 0).throughput(0.5)
