"""What an HTTP response says about limits.

The fields of draft-ietf-httpapi-ratelimit-headers-10 (structured fields, RFC 9651), Retry-After
(RFC 9110, section 10.2.3), and a problem document (RFC 9457) for a refusal. Shadow limits are not
shown: clients would adapt to what is only being tried.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from toka.rate_limiter._limit import SECOND

if TYPE_CHECKING:
    from toka.rate_limiter._decision import Decision

PROBLEM_TYPE: Final = "application/problem+json"
QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
REDUCED_CAPACITY: Final = (
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
)


def response_fields(decision: Decision) -> dict[str, str]:
    """Return the header fields that tell a client where it stands."""
    shown = [status for status in decision.statuses if not status.limit.shadow]
    fields: dict[str, str] = {}
    if shown:
        # Names are lower-case ASCII by construction, so a quoted string needs no escapes.
        fields["RateLimit-Policy"] = ", ".join(
            f'"{status.limit.name}";q={status.limit.quota};w={seconds(status.limit.period)}'
            for status in shown
        )
        fields["RateLimit"] = ", ".join(
            f'"{status.limit.name}";r={status.remaining}'
            f";t={seconds(status.retry_after or status.reset_after)}"
            for status in shown
        )
    wait = decision.retry_after
    if not decision.admitted and wait is not None:
        # Never earlier than any `t`: of those that refuse, the longest wait decides for both.
        fields["Retry-After"] = str(max(1, seconds(wait)))
    return fields


def problem(decision: Decision) -> tuple[int, bytes]:
    """Return the status and the body of a refusal."""
    if not decision.statuses:
        return 503, _document(
            503, REDUCED_CAPACITY, "Limits cannot be checked at the moment.", decision
        )
    return 429, _document(429, QUOTA_EXCEEDED, "The quota has been exceeded.", decision)


def seconds(microseconds: int) -> int:
    """Return whole seconds, rounded up."""
    return -(-microseconds // SECOND)


def _document(status: int, kind: str, title: str, decision: Decision) -> bytes:
    document = {
        "type": kind,
        "title": title,
        "status": status,
        "violated-policies": list(decision.refused_by),
    }
    return json.dumps(document).encode("utf-8")
