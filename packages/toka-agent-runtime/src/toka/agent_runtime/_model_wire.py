"""Messages and answers of models as they are recorded: the gateway's own form, which is stable."""

from __future__ import annotations

from toka.llm_gateway import MessageRecord, decode_response, encode_response, message_record

__all__ = ["MessageRecord", "decode_response", "encode_response", "message_record"]
