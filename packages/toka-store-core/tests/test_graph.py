from hypothesis import given
from hypothesis import strategies as st

from toka.store.core import closure

graphs = st.lists(st.sets(st.integers(0, 20), max_size=3), min_size=1, max_size=20).map(
    lambda rows: {
        child: sorted({parent % child for parent in parents} - {0} if child > 1 else set())
        for child, parents in enumerate(rows, 1)
    }
)


def reached(start: int, edges: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    todo = list(edges[start])
    while todo:
        place = todo.pop()
        if place not in found:
            found.add(place)
            todo += edges[place]
    return found


@given(graphs, st.integers(0, 5))
def test_causes_come_newest_first_and_effects_oldest_first(parents, limit):
    children = {place: [child for child in parents if place in parents[child]] for place in parents}
    for place in parents:
        causes = sorted(reached(place, parents), reverse=True)
        effects = sorted(reached(place, children))
        assert closure(place, parents.__getitem__, newest_first=True) == causes
        assert closure(place, children.__getitem__, newest_first=False) == effects
        found = closure(place, parents.__getitem__, newest_first=True, limit=limit)
        assert found == causes[:limit]
