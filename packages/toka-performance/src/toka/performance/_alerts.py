"""Alerts that are raised once, and that end: rules with hysteresis, patience and a cooldown.

Everything is a function of the observations and their times, which the caller passes: a history can
be played through it, and two runs over the same observations say the same. Times are seconds on one
clock, of the caller's choice.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

import attrs

from toka.performance._errors import InvalidFigure
from toka.performance._statistics import check_finite

if TYPE_CHECKING:
    from collections.abc import Iterable


class AlertState(enum.StrEnum):
    """Where an alert stands; an acknowledged one is still active, but somebody knows."""

    QUIET = "quiet"
    PENDING = "pending"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertSeverity(enum.StrEnum):
    """How much an alert matters."""

    LOW = "low"
    WARNING = "warning"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Condition(Protocol):
    """What a rule looks for. Between `raises` and `clears` an alert stays as it is."""

    def raises(self, value: float) -> bool:
        """Tell whether a value is one to raise the alert for."""
        ...

    def clears(self, value: float) -> bool:
        """Tell whether a value is one that lets the alert end."""
        ...


@attrs.frozen
class Above:
    """Raised above one limit, cleared at or below another that is no higher."""

    limit: float
    clear: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.clear is not None and self.clear > self.limit:
            raise InvalidFigure(f"An alert above {self.limit} cannot end above that.")

    def raises(self, value: float) -> bool:
        return value > self.limit

    def clears(self, value: float) -> bool:
        return value <= (self.limit if self.clear is None else self.clear)


@attrs.frozen
class Below:
    """Raised below one limit, cleared at or above another that is no lower."""

    limit: float
    clear: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.clear is not None and self.clear < self.limit:
            raise InvalidFigure(f"An alert below {self.limit} cannot end below that.")

    def raises(self, value: float) -> bool:
        return value < self.limit

    def clears(self, value: float) -> bool:
        return value >= (self.limit if self.clear is None else self.clear)


@attrs.frozen
class Outside:
    """Raised outside a range, cleared once it is inside by a margin."""

    low: float
    high: float
    margin: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not self.low + self.margin <= self.high - self.margin or self.margin < 0:
            raise InvalidFigure(f"Nothing lies between {self.low} and {self.high} by that margin.")

    def raises(self, value: float) -> bool:
        return not self.low <= value <= self.high

    def clears(self, value: float) -> bool:
        return self.low + self.margin <= value <= self.high - self.margin


@attrs.frozen
class Rule:
    """When to raise an alert.

    Attributes:
        name: Of the alert.
        metric: Whose values it looks at.
        condition: What it looks for.
        severity: How much it matters.
        patience: Seconds that the condition must hold before it is raised.
        calm: Seconds that it must be clear before it ends.
        cooldown: Seconds after the end in which it is not raised again.
        rate: Look at the change a second instead of the value.

    """

    name: str
    metric: str
    condition: Condition
    severity: AlertSeverity = AlertSeverity.WARNING
    patience: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    calm: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    cooldown: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    rate: bool = False


@attrs.frozen
class AlertEvent:
    """That an alert was raised, acknowledged or resolved."""

    rule: Rule
    state: AlertState
    at: float
    value: float


@attrs.define
class _Alert:
    rule: Rule
    state: AlertState = AlertState.QUIET
    since: float | None = None
    """When the condition began to hold, or to be clear; None while it does neither."""
    ended: float | None = None
    value: float = 0.0

    @property
    def is_raised(self) -> bool:
        return self.state in {AlertState.ACTIVE, AlertState.ACKNOWLEDGED}

    def observe(self, at: float, value: float) -> AlertState | None:
        """Take a value; return the state that it led to, if that is news."""
        self.value = value
        return self._while_raised(at) if self.is_raised else self._while_quiet(at)

    def _while_raised(self, at: float) -> AlertState | None:
        if not self._holds(at, self.rule.condition.clears(self.value), self.rule.calm):
            return None
        self.state, self.since, self.ended = AlertState.RESOLVED, None, at
        return self.state

    def _while_quiet(self, at: float) -> AlertState | None:
        is_raised = self.rule.condition.raises(self.value)
        held = self._holds(at, is_raised, self.rule.patience)
        if is_raised:
            self.state = AlertState.PENDING
        elif self.state is AlertState.PENDING:
            self.state = AlertState.QUIET
        if not held or self._cools_down(at):
            return None
        self.state, self.since = AlertState.ACTIVE, None
        return self.state

    def _holds(self, at: float, is_so: bool, long: float) -> bool:
        if not is_so:
            self.since = None
            return False
        self.since = at if self.since is None else self.since
        return at - self.since >= long

    def _cools_down(self, at: float) -> bool:
        return self.ended is not None and at - self.ended < self.rule.cooldown


class Alerts:
    """The alerts of some rules. One `observe` for each value that was measured drives them.

    Raises:
        InvalidFigure: two rules have one name.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._alerts: dict[str, _Alert] = {}
        for rule in rules:
            if rule.name in self._alerts:
                raise InvalidFigure(f"Two rules are named {rule.name}.")
            self._alerts[rule.name] = _Alert(rule)
        self._last: dict[str, tuple[float, float]] = {}

    def observe(self, metric: str, value: float, at: float) -> list[AlertEvent]:
        """Take a value of a metric; return what became of alerts by it.

        Raises:
            InvalidFigure: the value is not finite, or older than the one before.
        """
        check_finite([value, at])
        before = self._last.get(metric)
        if before and at < before[0]:
            raise InvalidFigure(f"{metric} was observed at {before[0]}, so {at} comes too late.")
        self._last[metric] = (at, value)
        events: list[AlertEvent] = []
        for alert in self._alerts.values():
            if alert.rule.metric == metric:
                events += _observed(alert, at, value, before)
        return events

    def acknowledge(self, name: str, at: float) -> AlertEvent:
        """Note that somebody knows of an active alert; it still ends by itself.

        Raises:
            InvalidFigure: there is no such alert, or it is not active.
        """
        alert = self._alerts.get(name)
        if alert is None or alert.state is not AlertState.ACTIVE:
            raise InvalidFigure(f"There is no active alert {name}.")
        alert.state = AlertState.ACKNOWLEDGED
        return AlertEvent(alert.rule, alert.state, at, alert.value)

    def state(self, name: str) -> AlertState:
        """Return where an alert stands.

        Raises:
            KeyError: there is no rule of that name.
        """
        return self._alerts[name].state

    @property
    def raised(self) -> list[Rule]:
        """The rules whose alerts are active, acknowledged or not."""
        return [alert.rule for alert in self._alerts.values() if alert.is_raised]


def _observed(
    alert: _Alert, at: float, value: float, before: tuple[float, float] | None
) -> list[AlertEvent]:
    if alert.rule.rate:
        if before is None or at == before[0]:
            return []  # one point has no rate
        value = (value - before[1]) / (at - before[0])
    state = alert.observe(at, value)
    return [AlertEvent(alert.rule, state, at, value)] if state else []
