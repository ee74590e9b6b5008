"""The seam to asyncpg, which has no types: what of a connection is used here, and no more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

import asyncpg  # type: ignore[import-untyped]  # it declares no types

from toka.store.core import StoreFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from toka.store.postgres._address import Address

Row: TypeAlias = tuple[Any, ...]

PASSING: Final = cast(
    "tuple[type[Exception], ...]",
    (
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,  # the server shuts down, or another ends the connection
        asyncpg.TooManyConnectionsError,
        asyncpg.TransactionRollbackError,
    ),
)
"""What a new connection may not meet again: the server is restarting, or the network was cut."""

TROUBLE: Final = cast("tuple[type[Exception], ...]", (*PASSING, asyncpg.PostgresError))
"""Every way in which talking to the server fails."""


class Connection(Protocol):
    """One connection, and one of a pool."""

    async def execute(self, query: str, *values: object) -> str: ...

    async def executemany(self, query: str, values: Iterable[Sequence[object]]) -> None: ...

    async def fetch(self, query: str, *values: object) -> list[Row]: ...

    async def fetchrow(self, query: str, *values: object) -> Row | None: ...

    async def fetchval(self, query: str, *values: object) -> Any: ...  # noqa: ANN401 - of any column

    async def copy_records_to_table(
        self, table: str, *, records: Iterable[Row], columns: Sequence[str]
    ) -> str: ...

    def transaction(
        self, *, isolation: str = ..., readonly: bool = ...
    ) -> AbstractAsyncContextManager[None]: ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...

    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...

    def is_closed(self) -> bool: ...

    def terminate(self) -> None: ...

    async def close(self) -> None: ...


class Pool(Protocol):
    """Connections that are lent and taken back."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


class _Asyncpg(Protocol):
    async def connect(
        self,
        dsn: str,
        *,
        timeout: float,  # noqa: ASYNC109 - asyncpg's
        server_settings: dict[str, str],
    ) -> Connection: ...

    async def create_pool(
        self,
        dsn: str,
        *,
        min_size: int,
        max_size: int,
        timeout: float,  # noqa: ASYNC109 - asyncpg's
        server_settings: dict[str, str],
    ) -> Pool: ...


_asyncpg: Final = cast("_Asyncpg", asyncpg)


async def connect(address: Address, *, name: str, read_only: bool = False) -> Connection:
    """Make a connection; raises what asyncpg raises."""
    return await _asyncpg.connect(
        address.dsn, timeout=_SECONDS, server_settings=_settings(address, name, read_only=read_only)
    )


async def pool(address: Address, *, name: str, size: int, read_only: bool) -> Pool:
    """Make a pool; raises what asyncpg raises."""
    return await _asyncpg.create_pool(
        address.dsn,
        # With a minimum the pool makes connections in a task of its own, whose failures while a
        # server restarts nobody can catch.
        min_size=0,
        max_size=size,
        timeout=_SECONDS,
        server_settings=_settings(address, name, read_only=read_only),
    )


async def end(connection: Connection) -> None:
    """Close a connection, in order if that is possible."""
    try:
        async with asyncio.timeout(_SECONDS):
            await connection.close()
    except TROUBLE:
        connection.terminate()


def failure(location: str, doing: str, error: Exception) -> StoreFailed:
    """Turn what asyncpg raised into what a store raises; its message never holds the password."""
    state = getattr(error, "sqlstate", None)
    return StoreFailed(
        f"{doing} {location} failed: {type(error).__name__}: {error}.",
        hint="See whether the server runs, has space, and lets this role in; its log says more.",
        details={"location": location, "sqlstate": str(state) if state else None},
    )


_SECONDS: Final = 10.0


def _settings(address: Address, name: str, *, read_only: bool) -> dict[str, str]:
    return {
        "application_name": name,
        "search_path": address.schema,
        "default_transaction_read_only": "on" if read_only else "off",
        "client_min_messages": "warning",
    }
