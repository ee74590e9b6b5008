"""What reading an OpenAPI document and calling its operations raises.

    ToolError
    ├── InvalidDocumentError       tools.openapi_invalid     not OpenAPI 3.0 or 3.1
    ├── UnsupportedOperationError  tools.openapi_unsupported one operation cannot be a tool
    └── InvalidResultError         tools.invalid_result      an answer that breaks the document

The last is for calls, which raise besides whatever sending a request does. An answer with an error
status is a result.
"""

from __future__ import annotations

from toka.tools._errors import ToolError


class InvalidDocumentError(ToolError, ValueError):
    """The document cannot be read, or says what no tool can be made from."""

    default_code = "tools.openapi_invalid"


class UnsupportedOperationError(ToolError, ValueError):
    """An operation of the document uses something that tools cannot do."""

    default_code = "tools.openapi_unsupported"


class InvalidResultError(ToolError, ValueError):
    """The server answered with success, and not in the form that its document promises."""

    default_code = "tools.invalid_result"
