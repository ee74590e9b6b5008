"""What can go wrong between a request and its answer.

    TokaError
    └── LlmFailure
        ├── ConfigurationInvalid        llm.configuration_invalid    a setting is missing or wrong
        ├── RequestRefused              llm.request_refused          the gateway itself says no
        │   ├── NotAuthenticated        llm.not_authenticated        who is asking?
        │   ├── NotAllowed              llm.not_allowed              not with this token
        │   ├── BudgetExhausted         llm.budget_exhausted         nothing is left to spend
        │   └── GuardRefused            llm.guard_refused            a guard's verdict
        └── CallFailed                  llm.call_failed              a call gave no answer
            ├── InvalidRequest          llm.invalid_request          never to be repeated unchanged
            │   ├── ContextTooLong      llm.context_too_long         shorten the conversation
            │   ├── ModelUnfit          llm.model_unfit              not with this model's limits
            │   ├── ContentFiltered     llm.content_filtered         the provider declined to look
            │   └── ModelNotFound       llm.model_not_found
            ├── AuthenticationFailed    llm.authentication_failed    key missing, wrong, forbidden
            ├── QuotaExhausted          llm.quota_exhausted          no money left at the provider
            ├── RateLimited             llm.rate_limited             later, see `retry_after_ns`
            ├── Overloaded              llm.overloaded               later, or another provider
            ├── ProviderError           llm.provider_error           the provider broke
            ├── ConnectionFailed        llm.connection_failed        nothing was answered
            ├── ModelTimeout            llm.timeout                  a limit of ours passed
            ├── StreamInterrupted       llm.stream_interrupted       an answer stopped half way
            ├── RoutesUnavailable       llm.routes_unavailable       every route is left alone
            └── ResponseInvalid         llm.response_invalid         an answer that is none
                ├── ResponseTooLarge    llm.response_too_large
                ├── OutputInvalid       llm.output_invalid           not of the form asked for
                └── ToolArgumentsInvalid llm.tool_arguments_invalid  the model wrote broken JSON

No message, detail or representation holds a key or a prompt. What the provider wrote is quoted only
where it explains a refusal, bounded in length and with the key struck out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types import Json

TimeoutPhase: TypeAlias = Literal["connect", "first_token", "idle", "total"]
"""Which limit passed."""


class LlmFailure(TokaError):
    """Anything that this distribution raises."""

    default_code = "llm.failure"


class ConfigurationInvalid(LlmFailure):
    """A setting is missing, malformed or unsafe."""

    default_code = "llm.configuration_invalid"


class RequestRefused(LlmFailure):
    """The gateway's own refusal: no provider was asked, and asking again changes nothing."""

    default_code = "llm.request_refused"


class NotAuthenticated(RequestRefused):
    """The credential is missing, or not accepted."""

    default_code = "llm.not_authenticated"


class NotAllowed(RequestRefused):
    """The credential is good, and does not cover this."""

    default_code = "llm.not_allowed"


class BudgetExhausted(RequestRefused):
    """What the call may take at most is more than what is left."""

    default_code = "llm.budget_exhausted"


class GuardRefused(RequestRefused):
    """A guard refuses the text; `details["reason"]` says why."""

    default_code = "llm.guard_refused"


class CallFailed(LlmFailure):
    """A call to a model gave no answer.

    Attributes:
        details: What is known of `provider`, `model`, `status`, `request_id`, `attempts`.

    """

    default_code = "llm.call_failed"
    transient: ClassVar[bool] = False
    """Whether failures of this kind tend to pass."""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed if it is made again later."""
        told = self.details.get("should_retry")
        return told if isinstance(told, bool) else self.transient

    @property
    def request_id(self) -> str:
        """The provider's name for the call, or an empty string."""
        return str(self.details.get("request_id", ""))

    @property
    def status(self) -> int | None:
        """The HTTP status, if there was an answer."""
        status = self.details.get("status")
        return status if isinstance(status, int) else None

    @property
    def attempts(self) -> int:
        """How many tries were made."""
        attempts = self.details.get("attempts", 1)
        return attempts if isinstance(attempts, int) else 1

    @property
    def retry_after_ns(self) -> int | None:
        """How long the provider asked to be left alone, in nanoseconds."""
        wait = self.details.get("retry_after_ns")
        return wait if isinstance(wait, int) else None

    def add_details(self, details: Mapping[str, Json]) -> None:
        """Add what only an outer layer knows; what is there already stays."""
        self.details = {**details, **self.details}


class InvalidRequest(CallFailed):
    """The provider refuses the request as it stands."""

    default_code = "llm.invalid_request"


class ContextTooLong(InvalidRequest):
    """The conversation and the room for an answer exceed what the model takes."""

    default_code = "llm.context_too_long"


class ModelUnfit(InvalidRequest):
    """The model's known limits do not allow this; nothing was sent. `details["what"]` names one."""

    default_code = "llm.model_unfit"


class ContentFiltered(InvalidRequest):
    """The provider's policy refuses the content; sending it elsewhere would evade that policy."""

    default_code = "llm.content_filtered"


class NotTranslatable(InvalidRequest):
    """The provider's wire format cannot say what the request holds; `details["what"]` names it."""

    default_code = "llm.not_translatable"


class ModelNotFound(InvalidRequest):
    """The provider has no such model, or not for this key."""

    default_code = "llm.model_not_found"


class AuthenticationFailed(CallFailed):
    """The key is missing, wrong, or does not allow this."""

    default_code = "llm.authentication_failed"


class QuotaExhausted(CallFailed):
    """The account has no credit left; waiting does not help."""

    default_code = "llm.quota_exhausted"


class RateLimited(CallFailed):
    """Too many requests or tokens; `retry_after_ns` says when to come back, if it is known."""

    default_code = "llm.rate_limited"
    transient = True


class Overloaded(CallFailed):
    """The provider has no capacity now."""

    default_code = "llm.overloaded"
    transient = True


class ProviderError(CallFailed):
    """The provider failed."""

    default_code = "llm.provider_error"
    transient = True


class ConnectionFailed(CallFailed):
    """No connection, or it broke before an answer began."""

    default_code = "llm.connection_failed"
    transient = True


class ModelTimeout(CallFailed):
    """A time limit passed.

    Not retried by itself: a silent route is likely to stay silent, and the wait was long already.
    """

    default_code = "llm.timeout"
    transient = True

    @property
    def phase(self) -> str:
        """Which limit passed: connect, first_token, idle or total."""
        return str(self.details.get("phase", ""))


class StreamInterrupted(CallFailed):
    """A streamed answer stopped before its end; the part that came is not the answer."""

    default_code = "llm.stream_interrupted"
    transient = True


class RoutesUnavailable(CallFailed):
    """Every route has failed of late and is left alone; `retry_after_ns` says until when."""

    default_code = "llm.routes_unavailable"
    transient = True


class ResponseInvalid(CallFailed):
    """The provider answered with something that its interface does not allow."""

    default_code = "llm.response_invalid"


class ResponseTooLarge(ResponseInvalid):
    """The answer exceeds the size limit."""

    default_code = "llm.response_too_large"


class OutputInvalid(ResponseInvalid):
    """The model's answer is not of the form that was asked for, also after a repair."""

    default_code = "llm.output_invalid"


class ToolArgumentsInvalid(ResponseInvalid):
    """The model asked for a tool with arguments that are not a JSON object."""

    default_code = "llm.tool_arguments_invalid"
    transient = True
