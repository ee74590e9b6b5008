"""The vocabulary of Toka: identifiers, operations, specifications, limits and canonical bytes."""

from toka.types._canonical import DIGEST_SIZE, Codec, canonical, digest
from toka.types._clock import NANOSECONDS, Clock, SystemClock
from toka.types._errors import CanonicalEncodingError, InvalidValueError, TokaError
from toka.types._ids import (
    AgentId,
    EntityId,
    EventId,
    TaskId,
    agent_name,
    agent_of,
    check_agent_name,
    check_entity_id,
    child_agent,
    parent_of,
    root_agent,
    root_of,
    task_id,
    ulid,
)
from toka.types._json import Json, JsonObject
from toka.types._limits import (
    MAX_AGENT_DEPTH,
    MAX_AGENT_NAME_BYTES,
    MAX_IDEMPOTENCY_KEY_BYTES,
    MAX_MAILBOX_MESSAGES,
    MAX_OBSERVATION_BYTES,
    MAX_PERMISSIONS,
    MAX_QUEUED_TASKS,
    MAX_SPEC_BYTES,
    MAX_STEP_RESULT_BYTES,
    MAX_TASK_DESCRIPTION_BYTES,
    MAX_TOKEN_BYTES,
    MAX_TOKEN_LIFETIME_SECONDS,
)
