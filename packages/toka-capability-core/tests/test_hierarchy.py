import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from toka.capability.core import NO_IMPLICATIONS, ActionHierarchy, HierarchyError


def test_by_default_an_action_grants_itself_only():
    assert NO_IMPLICATIONS.granting("fs", "read") == {"read", "*"}


def test_implications_are_followed_within_their_domain():
    hierarchy = NO_IMPLICATIONS.add("fs", "admin", "write").add("fs", "write", "read")
    assert hierarchy.granting("fs", "read") == {"read", "write", "admin", "*"}
    assert hierarchy.granting("fs", "admin") == {"admin", "*"}
    assert hierarchy.granting("db", "read") == {"read", "*"}


def test_adding_and_removing_give_other_values():
    hierarchy = NO_IMPLICATIONS.add("fs", "write", "read")
    assert NO_IMPLICATIONS.rules == frozenset()
    assert hierarchy.remove("fs", "write", "read") == NO_IMPLICATIONS
    assert hierarchy.remove("fs", "a", "b") == hierarchy


def test_removing_keeps_the_other_edges():
    both = ActionHierarchy.of([("fs", "admin", "read"), ("fs", "write", "read")])
    assert both.remove("fs", "admin", "read").granting("fs", "read") == {"read", "write", "*"}


@pytest.mark.parametrize("rules", [[("a", "a")], [("a", "b"), ("b", "a")]])
def test_attack_4_2_07_a_cycle_is_refused_at_insertion(rules):
    *first, last = rules
    hierarchy = ActionHierarchy.of([("fs", *rule) for rule in first])
    with pytest.raises(HierarchyError):
        hierarchy.add("fs", *last)
    with pytest.raises(HierarchyError):
        ActionHierarchy.of([("fs", *rule) for rule in rules])


def test_attack_4_2_09_removing_while_others_check_gives_each_the_answer_of_some_order():
    """A hierarchy is a value: threads see the one before or the one after, never a mixture."""
    full = ActionHierarchy.of([("fs", f"a{number + 1}", f"a{number}") for number in range(50)])
    cut = full.remove("fs", "a25", "a24")
    serial = {full.granting("fs", "a0"), cut.granting("fs", "a0")}
    assert len(serial) == 2
    current, stop = [full], threading.Event()

    def check() -> set[frozenset[str]]:
        seen = set()
        while not stop.is_set():
            seen.add(current[0].granting("fs", "a0"))
        return seen

    with ThreadPoolExecutor(8) as threads:
        checks = [threads.submit(check) for _ in range(8)]
        for _ in range(300):
            current[0] = current[0].remove("fs", "a25", "a24")
            current[0] = current[0].add("fs", "a25", "a24")
        stop.set()
        seen = set().union(*[each.result() for each in checks])
    assert seen <= serial


def test_the_same_edges_in_two_domains_are_no_cycle():
    ActionHierarchy.of([("fs", "a", "b"), ("db", "b", "a")])


def test_attack_4_2_07_ten_thousand_levels_are_followed_without_recursion(cpu_seconds):
    names = [f"a{number}" for number in range(10_000)]
    hierarchy = ActionHierarchy.of([("fs", *pair) for pair in pairwise(names)])
    with cpu_seconds() as spent:
        assert len(hierarchy.granting("fs", names[-1])) == 10_001
    assert spent() < 0.05
    with pytest.raises(HierarchyError):
        hierarchy.add("fs", names[-1], names[0])


def test_attack_4_2_08_a_diamond_of_two_to_the_thirty_paths_takes_linear_time(cpu_seconds):
    rules = [
        ("fs", f"a{level}{left}", f"a{level + 1}{right}")
        for level in range(30)
        for left in "xy"
        for right in "xy"
    ]
    hierarchy = ActionHierarchy.of(rules)
    with cpu_seconds() as spent:
        assert len(hierarchy.granting("fs", "a30x")) == 62
    assert spent() < 0.05


@pytest.mark.parametrize("word", ["", "*", "Read", "re ad", "r\u0435ad", "read\n"])
def test_words_out_of_the_grammar_are_refused(word):
    for rule in ((word, "a", "b"), ("fs", word, "b"), ("fs", "a", word)):
        with pytest.raises(HierarchyError):
            NO_IMPLICATIONS.add(*rule)
