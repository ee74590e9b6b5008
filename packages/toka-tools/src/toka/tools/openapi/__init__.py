"""Tools from OpenAPI documents: each operation of a server, checked on both sides of the wire."""

from toka.tools.openapi._errors import (
    InvalidDocumentError,
    InvalidResultError,
    UnsupportedOperationError,
)
from toka.tools.openapi._load import (
    OpenApiTools,
    SkippedOperation,
    fetch_openapi,
    load_openapi,
    parse_openapi,
)
from toka.tools.openapi._options import OpenApiOptions
from toka.tools.openapi._tool import OpenApiTool

__all__ = [
    "InvalidDocumentError",
    "InvalidResultError",
    "OpenApiOptions",
    "OpenApiTool",
    "OpenApiTools",
    "SkippedOperation",
    "UnsupportedOperationError",
    "fetch_openapi",
    "load_openapi",
    "parse_openapi",
]
