"""One face to language models: Anthropic Messages and OpenAI chat completions over aiohttp."""

from toka.llm_gateway._environment import model_from_environment
from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ConfigurationInvalid,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    LlmFailure,
    ModelNotFound,
    ModelTimeout,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResponseInvalid,
    ResponseTooLarge,
    RoutesUnavailable,
    StreamInterrupted,
    TimeoutPhase,
    ToolArgumentsInvalid,
)
from toka.llm_gateway._events import (
    ArgumentsDelta,
    ReasoningDelta,
    StreamEvent,
    StreamRestart,
    TextDelta,
    ToolUseStart,
)
from toka.llm_gateway._messages import (
    ModelMessage,
    Part,
    Reasoning,
    Role,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway._model import Model
from toka.llm_gateway._prices import Price, PriceTable
from toka.llm_gateway._request import DEFAULT_MAX_OUTPUT_TOKENS, ModelRequest, ToolSchema
from toka.llm_gateway._response import Cost, Estimate, ModelResponse, StopReason, Usage
from toka.llm_gateway.http._http_model import MAX_RESPONSE_BYTES, HttpModel, HttpOptions
from toka.llm_gateway.http._retry import RetryPolicy
from toka.llm_gateway.http._secret import ApiKey
from toka.llm_gateway.http._transport import Timeouts
from toka.llm_gateway.providers._models import (
    ANTHROPIC_URL,
    OPENAI_URL,
    AnthropicModel,
    OpenAIChatModel,
)
from toka.llm_gateway.routing._breaker import RouteState
from toka.llm_gateway.routing._fallback import FallbackModel, FallbackPolicy, RouteHealth

__all__ = [
    "ANTHROPIC_URL",
    "DEFAULT_MAX_OUTPUT_TOKENS",
    "MAX_RESPONSE_BYTES",
    "OPENAI_URL",
    "AnthropicModel",
    "ApiKey",
    "ArgumentsDelta",
    "AuthenticationFailed",
    "CallFailed",
    "ConfigurationInvalid",
    "ConnectionFailed",
    "ContentFiltered",
    "ContextTooLong",
    "Cost",
    "Estimate",
    "FallbackModel",
    "FallbackPolicy",
    "HttpModel",
    "HttpOptions",
    "InvalidRequest",
    "LlmFailure",
    "Model",
    "ModelMessage",
    "ModelNotFound",
    "ModelRequest",
    "ModelResponse",
    "ModelTimeout",
    "OpenAIChatModel",
    "Overloaded",
    "Part",
    "Price",
    "PriceTable",
    "ProviderError",
    "QuotaExhausted",
    "RateLimited",
    "Reasoning",
    "ReasoningDelta",
    "ResponseInvalid",
    "ResponseTooLarge",
    "RetryPolicy",
    "Role",
    "RouteHealth",
    "RouteState",
    "RoutesUnavailable",
    "StopReason",
    "StreamEvent",
    "StreamInterrupted",
    "StreamRestart",
    "Text",
    "TextDelta",
    "TimeoutPhase",
    "Timeouts",
    "ToolArgumentsInvalid",
    "ToolOutput",
    "ToolSchema",
    "ToolUse",
    "ToolUseStart",
    "Usage",
    "model_from_environment",
]
