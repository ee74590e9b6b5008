"""What is found in events: categories, causes, and what is unusual. Every figure is computed."""

import json
import math

import numpy as np
import pytest

from toka.store.core import open_store
from toka.store.core.semantic import (
    AnalysisFailed,
    Anomaly,
    InvalidConfiguration,
    PluginConfig,
    PluginInfo,
    PluginRegistry,
)
from toka.store.core.testing import EventSource
from toka.store.semantic import (
    CausalExtractor,
    DistanceDetector,
    HashingEmbedder,
    NearestClassifier,
    RateDetector,
    TooMany,
    analyse,
)
from toka.store.semantic._surprise import severity, tail_of_counts, tail_of_sample

pytestmark = pytest.mark.anyio

EMBEDDER = HashingEmbedder()
SECOND = 1_000_000_000


async def stored(texts, kind="said.v1", times=None, parents=None):
    """Append one event a text and return them; `parents` are indexes of earlier ones."""
    source, made = EventSource(), []
    async with await open_store("memory:") as store:
        for at, text in enumerate(texts):
            ids = tuple(made[each].id for each in (parents or {}).get(at, ()))
            event = source.new(kind=kind, payload=json.dumps({"text": text}).encode(), parents=ids)
            if times is not None:
                object.__setattr__(event, "time", times[at])
            await store.append([event])
            made.append(event)
        return [event async for event in store.read()]


def figure(anomaly: Anomaly, name: str) -> float:
    value = anomaly.facts[name]
    assert isinstance(value, float)
    return value


# Classification


def examples(count=20):
    disk = [(f"the disk {n} of server {n * 7} is full", "storage") for n in range(count)]
    return disk + [(f"connection {n} to host {n * 3} timed out", "network") for n in range(count)]


async def test_the_nearest_examples_name_the_category():
    classifier = NearestClassifier(EMBEDDER)
    await classifier.learn(examples())
    events = await stored(["disk 99 of server 98 is full", "connection to host 77 timed out"])
    found = await classifier.classify(events)
    assert [each.category for each in found] == ["storage", "network"]
    assert [each.event for each in found] == [event.id for event in events]
    assert all(0.8 < each.confidence < 1 for each in found)


async def test_more_examples_give_more_confidence():
    confidences = []
    for count in (3, 30):
        classifier = NearestClassifier(EMBEDDER, neighbours=2)
        await classifier.learn(examples(count))
        (found,) = await classifier.classify(await stored(["disk 99 of server 98 is full"]))
        confidences.append(found.confidence)
    assert confidences[0] < confidences[1] < 1


async def test_confidence_is_the_share_that_is_right():
    """With labels drawn at random, no vote is worth more than chance."""
    random = np.random.default_rng(8)
    labelled = [(text, str(random.integers(2))) for text, _ in examples(100)]
    classifier = NearestClassifier(EMBEDDER)
    await classifier.learn(labelled)
    found = await classifier.classify(await stored([text for text, _ in examples(40)]))
    assert 0.3 < float(np.mean([each.confidence for each in found])) < 0.7


async def test_less_likeness_gives_less_confidence():
    classifier = NearestClassifier(EMBEDDER)
    await classifier.learn(examples())
    near, far = await classifier.classify(
        await stored(["disk 9 of server 63 is full", "a server somewhere is perhaps full or so"])
    )
    assert far.confidence < near.confidence


async def test_what_is_like_no_example_has_no_category():
    classifier = NearestClassifier(EMBEDDER)
    assert await classifier.classify(await stored(["untaught"])) == []
    await classifier.learn(examples())
    assert await classifier.classify(await stored(["zzyzx quux"])) == []


async def test_examples_are_bounded(monkeypatch):
    monkeypatch.setattr("toka.store.semantic._nearest.MAX_EXAMPLES", 10)
    classifier = NearestClassifier(EMBEDDER)
    with pytest.raises(TooMany):
        await classifier.learn(examples())


# Causes


async def related(texts, parents, **options):
    source, ids = EventSource(), []
    async with await open_store("memory:") as store:
        for at, text in enumerate(texts):
            above = tuple(ids[each] for each in parents.get(at, ()))
            event = source.new(payload=json.dumps({"text": text}).encode(), parents=above)
            await store.append([event])
            ids.append(event.id)
        events = [event async for event in store.read()]
        found = await CausalExtractor(store, EMBEDDER, **options).extract(events)
    names = {name: at for at, name in enumerate(ids)}
    return {(names[each.source], names[each.target], each.kind): each.strength for each in found}


async def test_a_single_cause_has_all_of_it():
    found = await related(["a start", "an effect"], {1: (0,)})
    assert found == {(0, 1, "caused"): 1.0}


async def test_the_more_alike_cause_has_the_greater_share():
    found = await related(
        ["read the manifest", "a pear tree", "the manifest was read"], {2: (0, 1)}
    )
    shares = found[0, 2, "caused"], found[1, 2, "caused"]
    assert shares[0] > shares[1] > 0
    assert sum(shares) == pytest.approx(1)


async def test_shares_flow_back_to_the_first_causes():
    texts = ["root one", "root two", "middle of one", "middle of both", "end"]
    found = await related(texts, {2: (0,), 3: (0, 1), 4: (2, 3)})
    roots = found[0, 4, "root_cause"], found[1, 4, "root_cause"]
    assert sum(roots) == pytest.approx(1)
    through = found[3, 4, "caused"] * found[1, 3, "caused"]
    assert roots[1] == pytest.approx(through)


async def test_resemblance_is_said_where_there_is_no_cause():
    texts = ["the disk is full", "the disk is full", "the disk is full"]
    found = await related(texts, {1: (0,)})
    assert (0, 1, "resembles") not in found
    assert found[0, 2, "resembles"] == found[1, 2, "resembles"] == pytest.approx(1)
    assert not [key for key in await related(["one", "other"], {}) if key[2] == "resembles"]


async def test_events_of_another_log_cannot_be_related():
    events = await stored(["alone"])
    async with await open_store("memory:") as store:
        with pytest.raises(AnalysisFailed, match="cannot be read"):
            await CausalExtractor(store, EMBEDDER).extract(events)


# Distance


async def test_what_is_unlike_everything_is_reported_with_its_figures():
    detector = DistanceDetector(EMBEDDER)
    await detector.learn(await stored([f"poll {n} of machine {n % 5} is well" for n in range(200)]))
    usual, odd = await stored(["poll 7 of machine 3 is well", "kernel panic in quadrant zz9"])
    (found,) = await detector.detect([usual, odd])
    assert (found.event, found.kind) == (odd.id, "distance")
    assert figure(found, "distance") > figure(found, "usual")
    assert f"{figure(found, 'distance'):.2f} away" in found.description
    assert found.severity == pytest.approx(severity(figure(found, "probability")))
    assert found.suggestions[0] == f"toka explain {odd.position}"


async def test_of_usual_events_hardly_any_is_reported():
    detector = DistanceDetector(EMBEDDER, rarity=0.001)
    await detector.learn(await stored([f"poll {n} of machine {n % 5} is well" for n in range(200)]))
    others = await stored([f"poll {n} of machine {n % 5} is well" for n in range(200, 300)])
    assert len(await detector.detect(others)) <= 2


async def test_the_less_alike_is_the_more_severe():
    detector = DistanceDetector(EMBEDDER, rarity=0.5)
    await detector.learn(await stored([f"poll {n} of machine {n % 5} is well" for n in range(200)]))
    some, none = await stored(["poll 3 of machine 4 is well indeed", "zebra quagga okapi"])
    first, second = await detector.detect([some, none])
    assert figure(first, "distance") < figure(second, "distance")
    assert figure(first, "probability") > figure(second, "probability")
    assert first.severity < second.severity


async def test_too_little_is_no_idea_of_what_is_usual():
    detector = DistanceDetector(EMBEDDER)
    await detector.learn(await stored(["a"] * 10))
    assert await detector.detect(await stored(["unheard of"])) == []


async def test_only_the_latest_events_are_remembered():
    detector = DistanceDetector(EMBEDDER, memory=50)
    await detector.learn(await stored([f"old song number {n}" for n in range(100)]))
    await detector.learn(await stored([f"poll {n} of machine {n % 5} is well" for n in range(50)]))
    (found,) = await detector.detect(await stored(["old song number 5"]))
    assert found.facts["learned"] == 50


# Rate


async def polls(counts, first=0, kind="poll.v1"):
    times = [
        (first + minute) * 60 * SECOND + each
        for minute, count in enumerate(counts)
        for each in range(count)
    ]
    return await stored(["poll"] * len(times), kind=kind, times=times)


async def test_a_burst_is_reported_once_at_its_last_event():
    detector = RateDetector()
    await detector.learn(await polls([3, 2, 4, 3, 3, 2, 4, 3] * 4))
    burst = await polls([40], first=100)
    (found,) = await detector.detect(burst)
    assert (found.event, found.kind) == (burst[-1].id, "rate")
    assert found.facts["count"] == 40
    assert found.facts["mean"] == pytest.approx(96.5 / 32, abs=1e-3)
    assert "40 events of kind poll.v1 came within 60 s" in found.description
    assert found.severity == pytest.approx(severity(figure(found, "probability")))


async def test_the_usual_rate_is_not_reported():
    detector = RateDetector()
    await detector.learn(await polls([3, 2, 4, 3] * 8))
    assert await detector.detect(await polls([4], first=100)) == []
    assert await detector.detect(await polls([0, 1], first=100)) == []


async def test_where_bursts_are_usual_a_burst_is_not_reported():
    steady, bursty = RateDetector(), RateDetector()
    await steady.learn(await polls([5] * 40))
    await bursty.learn(await polls([0, 0, 0, 0, 0, 0, 0, 40] * 5))
    burst = await polls([30], first=100)
    assert await steady.detect(burst)
    assert await bursty.detect(burst) == []


async def test_a_larger_burst_is_more_severe():
    detector = RateDetector()
    await detector.learn(await polls([3] * 40))
    (small,) = await detector.detect(await polls([15], first=100))
    (large,) = await detector.detect(await polls([25], first=100))
    assert 0 < small.severity < large.severity <= 1


async def test_a_short_history_reports_nothing():
    detector = RateDetector()
    assert await detector.detect(await polls([40])) == []
    await detector.learn(await polls([1, 1, 1]))
    assert await detector.detect(await polls([40], first=100)) == []


async def test_another_window_begins_anew():
    detector = RateDetector()
    await detector.learn(await polls([3] * 40))
    detector.configure({"window_seconds": 30})
    assert await detector.detect(await polls([40], first=100)) == []


# How unlikely


def test_severity_counts_decades():
    assert [severity(10**-n) for n in (0, 3, 6, 12, 300)] == pytest.approx([0, 0.25, 0.5, 1, 1])
    assert severity(0) == 1


def test_a_tail_of_counts_is_the_distribution_s():
    # As the dispersion grows, Poisson's: 1 - sum of e^-3 3^k / k! below 6.
    poisson = 1 - sum(math.exp(-3) * 3**k / math.factorial(k) for k in range(6))
    assert tail_of_counts(6, 3, 1e7) == pytest.approx(poisson, rel=1e-4)
    # With a dispersion of 1, geometric.
    assert tail_of_counts(5, 1, 1) == pytest.approx(0.5**5)
    assert tail_of_counts(0, 3, 1) == 1
    assert tail_of_counts(500, 1, 50) < 1e-60


def test_a_tail_of_a_sample_goes_on_falling_beyond_it():
    sample = np.sort(np.random.default_rng(4).exponential(size=5_000)).astype(np.float32)
    for value in (1.0, 2.0, 4.0, 8.0, 12.0):
        assert tail_of_sample(sample, value) == pytest.approx(math.exp(-value), rel=0.5)
    same = np.ones(100, np.float32)
    assert tail_of_sample(same, 1.0) == 1
    assert tail_of_sample(same, 2.0) == pytest.approx(1 / 101)


# Together


class Failing(NearestClassifier):
    @property
    def info(self) -> PluginInfo:
        return PluginInfo("failing")

    async def classify(self, events):  # noqa: ARG002
        raise AnalysisFailed("no model")


async def test_every_plug_in_of_a_registry_looks():
    classifier, detector = NearestClassifier(EMBEDDER), DistanceDetector(EMBEDDER)
    await classifier.learn(examples())
    await detector.learn(await stored([f"poll {n} is well" for n in range(60)]))
    source = EventSource(3)
    async with await open_store("memory:") as store:
        first = source.new(payload=b'{"text": "disk 7 of server 3 is full"}')
        second = source.new(payload=b'{"text": "zzyzx"}', parents=(first.id,))
        await store.append([first, second])
        events = [event async for event in store.read()]
        registry = PluginRegistry()
        for plugin in (Failing(EMBEDDER), classifier, detector, CausalExtractor(store, EMBEDDER)):
            registry.register(plugin)
        found = await analyse(registry, events)
    assert [each.category for each in found.classifications] == ["storage"]
    assert [(each.source, each.target) for each in found.relationships] == [(first.id, second.id)]
    assert {each.kind for each in found.anomalies} == {"distance"}
    assert found.failures["failing"].message == "no model"


async def test_parameters_are_checked_and_taken():
    async with await open_store("memory:") as store:
        plugins = (
            (NearestClassifier(EMBEDDER), {"neighbours": 3}, {"neighbours": 0}),
            (CausalExtractor(store, EMBEDDER), {"limit": 5}, {"resemblance": 2}),
            (DistanceDetector(EMBEDDER), {"memory": 100, "rarity": 0.1}, {"memory": 1}),
            (RateDetector(), {"window_seconds": 10}, {"window_seconds": 0}),
        )
        registry = PluginRegistry()
        for plugin, good, bad in plugins:
            registry.register(plugin, PluginConfig(plugin.info.id, good))
            with pytest.raises(InvalidConfiguration):
                registry.configure(PluginConfig(plugin.info.id, bad))
            with pytest.raises(InvalidConfiguration):
                registry.configure(PluginConfig(plugin.info.id, {"unheard_of": 1}))
