"""What a bus on NATS refuses.

BusError (of toka.bus.core)
├── BusClosed (of toka.bus.core)
├── BusUnavailable
├── PublishRefused
├── InvalidName
├── DurableDiffers
└── UndecodableItem
"""

from __future__ import annotations

from toka.bus.core import BusError


class BusUnavailable(BusError):
    """The server did not answer within the patience that the bus was given."""

    default_code = "bus.unavailable"

    def __init__(self, doing: str, seconds: float, acknowledged: int | None = None) -> None:
        details: dict[str, int | str] = {"doing": doing}
        stored = ""
        if acknowledged is not None:
            details["acknowledged"] = acknowledged
            stored = f" The first {acknowledged} items were stored."
        super().__init__(
            f"The NATS server did not answer for {seconds:g} s while {doing}.{stored}",
            hint="See that it runs with JetStream (nats-server -js), then do the same again;"
            " items that were stored already are recognised.",
            details=details,
        )


class PublishRefused(BusError):
    """The server answered that it does not take an item."""

    default_code = "bus.refused"

    def __init__(self, item_id: str, reason: str) -> None:
        super().__init__(
            f"The NATS server refused the item {item_id}: {reason}.",
            hint="Look at the limits of the stream and of the server (max_payload).",
            details={"item": item_id, "reason": reason},
        )


class InvalidName(BusError):
    """A name cannot be part of a subject."""

    default_code = "bus.invalid_name"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(
            f"The {what} {name!r} cannot be part of a NATS subject.",
            hint="Use segments of letters, digits, '-' and '_', joined by dots.",
            details={"name": name},
        )


class DurableDiffers(BusError):
    """A durable name was made for other kinds than are asked for under it now."""

    default_code = "bus.durable_differs"

    def __init__(self, durable: str, made_for: str, wanted: str) -> None:
        super().__init__(
            f"The durable name {durable!r} was made for {made_for!r} and is asked for {wanted!r}.",
            hint="Use another name, or delete the consumer of this one on the server.",
            details={"durable": durable, "made_for": made_for, "wanted": wanted},
        )


class UndecodableItem(BusError):
    """An item of the stream is none of the bus's type; somebody else publishes there."""

    default_code = "bus.undecodable"

    def __init__(self, subject: str, sequence: int, reason: str) -> None:
        super().__init__(
            f"Message {sequence} of the subject {subject!r} is not an item of this bus: {reason}.",
            hint="Give each type of item a stream of its own.",
            details={"subject": subject, "sequence": sequence},
        )
