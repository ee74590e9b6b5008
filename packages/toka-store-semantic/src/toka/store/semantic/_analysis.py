"""All plug-ins of a registry over the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from toka.store.core.semantic import AnalysisFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from toka.store.core import Event
    from toka.store.core.semantic import (
        Anomaly,
        Classification,
        Plugin,
        PluginRegistry,
        Relationship,
    )

P = TypeVar("P", bound="Plugin")
T = TypeVar("T")


@attrs.frozen
class Analysis:
    """What the plug-ins of a registry found."""

    classifications: list[Classification]
    relationships: list[Relationship]
    anomalies: list[Anomaly]
    failures: dict[str, AnalysisFailed]
    """By plug-in: why it found nothing."""


async def analyse(registry: PluginRegistry, events: Sequence[Event]) -> Analysis:
    """Let every enabled plug-in look at events; one that fails does not keep the others from it."""
    failures: dict[str, AnalysisFailed] = {}
    return Analysis(
        await _gather(registry.classifiers(), lambda each: each.classify(events), failures),
        await _gather(registry.extractors(), lambda each: each.extract(events), failures),
        await _gather(registry.detectors(), lambda each: each.detect(events), failures),
        failures,
    )


async def _gather(
    plugins: list[P], look: Callable[[P], Awaitable[list[T]]], failures: dict[str, AnalysisFailed]
) -> list[T]:
    found: list[T] = []
    for plugin in plugins:
        try:
            found += await look(plugin)
        except AnalysisFailed as failure:
            failures[plugin.info.id] = failure
    return found
