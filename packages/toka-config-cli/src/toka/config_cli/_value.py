"""What a configuration file holds, whatever its format."""

from __future__ import annotations

import datetime
from typing import TypeAlias

Moment: TypeAlias = datetime.datetime | datetime.date | datetime.time
"""Only TOML has these."""
Value: TypeAlias = "bool | int | float | str | Moment | list[Value] | dict[str, Value] | None"
