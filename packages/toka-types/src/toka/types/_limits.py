"""Sizes that nothing in Toka exceeds. Bytes of UTF-8 unless a name says otherwise."""

from __future__ import annotations

MAX_TASK_DESCRIPTION_BYTES = 4_096
MAX_AGENT_NAME_BYTES = 256
MAX_OBSERVATION_BYTES = 1_048_576
MAX_TOKEN_BYTES = 8_192
MAX_PERMISSIONS = 100
MAX_TOKEN_LIFETIME_SECONDS = 86_400
MAX_QUEUED_TASKS = 10_000
"""Tasks that wait in one agent."""
MAX_MAILBOX_MESSAGES = 10_000
"""Messages that wait in one agent's mailbox."""
MAX_AGENT_DEPTH = 16
"""Generations in one family, the root counted."""
MAX_SPEC_BYTES = 1_048_576
"""An agent's specification in its canonical encoding."""
MAX_STEP_RESULT_BYTES = 16_777_216
"""The recorded outcome of one step."""
MAX_IDEMPOTENCY_KEY_BYTES = 256
MAX_SHOWN_BYTES = 65_536
"""Arguments of a step as an approval shows them to whoever answers; longer ones are not shown."""
