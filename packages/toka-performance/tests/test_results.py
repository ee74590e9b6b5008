import json

import pytest

from toka.performance import (
    Measure,
    NotInstalled,
    UnreadableResult,
    at_least,
    latency,
    load_result,
    load_results,
    machine,
    run_suites,
    save_result,
    table,
    throughput,
    timings,
)


def ignore(_):
    pass


def missing():
    raise NotInstalled("nobody has it")


@pytest.fixture(scope="module")
def result():
    subjects = {"ours": iter(range(8, 100)).__next__, "peer": lambda: 4.0, "absent": missing}
    bars = [at_least(2, times="peer"), at_least(3, times="absent")]
    return run_suites({"demo": lambda: [Measure("speed", "a second", subjects, bars)]}, ignore)


def test_a_result_holds_every_figure(result):
    assert result.figures == {"demo": {"speed": {"ours": [*range(9, 16)], "peer": [4.0] * 7}}}


def test_an_interval_belongs_to_what_the_bar_judges(result):
    first, second = result.rows

    assert (first.ours, first.peer, first.ratio, first.met) == (12, 4, 3, True)
    assert first.low >= 9 / 4
    assert first.high <= 15 / 4
    assert (second.ratio, second.low, second.met) == (None, None, None)


def test_what_is_saved_is_read_again(result, tmp_path):
    save_result(result, tmp_path / "a.json")

    assert load_result(tmp_path / "a.json") == result
    assert load_results(tmp_path) == [result]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_result_that_was_saved_before_there_were_intervals_is_read(result, tmp_path):
    stored = json.loads(json.dumps(result.as_json()))
    for row in stored["rows"]:
        del row["low"], row["high"]
    del stored["figures"]
    (tmp_path / "old.json").write_text(json.dumps(stored))

    old = load_result(tmp_path / "old.json")

    assert old.figures == {}
    assert old.rows[0].ours == 12


@pytest.mark.parametrize("data", [b"", b"{}", b'{"machine": {}, "rows": [1]}', b"\xff\xfe"])
def test_a_file_that_is_no_result_is_named(data, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(data)

    with pytest.raises(UnreadableResult, match=r"bad\.json"):
        load_result(path)


def test_a_table_says_what_was_not_measured(result):
    lines = table(result.rows).splitlines()

    assert len({line.index("speed") for line in lines[1:]}) == 1
    assert "not measured" in lines[2]
    assert "yes" in lines[1]


def test_the_machine_is_described():
    facts = machine()

    assert isinstance(facts["cores"], int)
    assert facts["cores"] >= 1
    assert "Python" in str(facts["python"])


def test_calls_are_timed():
    calls = []

    assert throughput(lambda: calls.append(1), 50)() > 0
    assert latency(lambda: calls.append(1), 50, 50)() >= 0
    assert timings(lambda: calls.append(1), 50).count == 50
    assert len(calls) == 150
