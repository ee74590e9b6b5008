import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.store.semantic._fusion import fuse

rankings = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=20), min_size=1, max_size=4)


def test_what_several_rankings_have_comes_first():
    assert fuse([[1, 2, 3], [4, 2, 5]], 10)[0][0] == 2


def test_first_everywhere_scores_one():
    assert fuse([[7, 1], [7, 2]], 1) == [(7, pytest.approx(1))]


def test_of_equals_the_lower_comes_first():
    assert [each for each, _ in fuse([[9, 1], [3, 2]], 4)] == [3, 9, 1, 2]


def test_one_ranking_keeps_its_order():
    assert [each for each, _ in fuse([[5, 3, 9]], 2)] == [5, 3]


@given(rankings, st.integers(0, 50))
def test_nothing_is_lost_or_invented(lists, limit):
    fused = fuse(lists, limit)
    everything = {each for ranking in lists for each in ranking}
    assert len(fused) == min(limit, len(everything))
    assert {each for each, _ in fused} <= everything
    assert all(0 < score <= 1 + 1e-9 for _, score in fused)


@given(rankings)
def test_a_better_rank_never_scores_less(lists):
    scores = dict(fuse(lists, 100))
    for ranking in lists:
        others = [each for other in lists if other is not ranking for each in other]
        alone = [scores[each] for each in ranking if each not in others]
        assert alone == sorted(alone, reverse=True)
