"""Memory while a log is scanned, over as many events as continuous integration has time for."""

from __future__ import annotations

from benchmarks._storage_memory import GROWTH, scan


def test_memory_is_flat_while_a_log_is_scanned() -> None:
    result = scan("sqlite:", 40_000)
    assert result.events == 40_000
    assert result.grown < GROWTH
    assert "40,000 events" in str(result)
