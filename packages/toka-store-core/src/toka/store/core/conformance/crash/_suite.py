"""All items together."""

from __future__ import annotations

from toka.store.core.conformance.crash._damage import DamageCrashes
from toka.store.core.conformance.crash._faults import FaultCrashes
from toka.store.core.conformance.crash._power import PowerCrashes


class CrashConformance(PowerCrashes, DamageCrashes, FaultCrashes):
    """Every item of the crash checklist; see the package for how to use it."""
