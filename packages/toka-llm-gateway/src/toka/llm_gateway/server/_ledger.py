"""Budgets: what is set aside before a call and settled after it.

What is set aside counts as used until it is settled. A ledger on disk keeps that through a crash,
so a call that was under way then stays debited with the most that it could have taken.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, Protocol, Self

import attrs

from toka.llm_gateway._errors import BudgetExhausted, ConfigurationInvalid
from toka.types import NOTHING, RESOURCES, UNLIMITED, Amounts, Budget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@attrs.frozen
class Account:
    """What somebody may use in all."""

    id: str
    limit: Budget = UNLIMITED


class Ledger(Protocol):
    """Keeps what accounts have used. Each method takes effect for all accounts or for none."""

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> None:
        """Set amounts aside in every account.

        Raises:
            BudgetExhausted: One of them has not so much left.

        """
        ...

    def settle(self, accounts: Sequence[Account], reserved: Amounts, used: Amounts) -> None:
        """Replace what was set aside by what was used, which may be more."""
        ...

    def used(self, account: str) -> Amounts:
        """Return what an account has used, with what is set aside."""
        ...


class MemoryLedger:
    """Forgets everything when the process ends."""

    def __init__(self) -> None:
        self._used: Final[dict[str, Amounts]] = {}

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> None:
        for account in accounts:
            check_left(account, self.used(account.id), amounts)
        for account in accounts:
            self._used[account.id] = self.used(account.id) + amounts

    def settle(self, accounts: Sequence[Account], reserved: Amounts, used: Amounts) -> None:
        for account in accounts:
            self._used[account.id] = replaced(self.used(account.id), reserved, used)

    def used(self, account: str) -> Amounts:
        return self._used.get(account, NOTHING)


class SqliteLedger:
    """Keeps accounts in a file. Several processes may share it."""

    def __init__(self, path: Path) -> None:
        """Open a ledger, or make it.

        Raises:
            ConfigurationInvalid: The file cannot be used.

        """
        try:
            self._connection: Final = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may lose the last calls, never the file.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_TABLE)
        except sqlite3.Error as error:
            raise ConfigurationInvalid(f"The ledger {path} cannot be used: {error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What is set aside stays so."""
        self._connection.close()

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> None:
        if not accounts:
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for account in accounts:
                used = self.used(account.id)
                check_left(account, used, amounts)
                self._write(account.id, used + amounts)

    def settle(self, accounts: Sequence[Account], reserved: Amounts, used: Amounts) -> None:
        if not accounts:
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for account in accounts:
                self._write(account.id, replaced(self.used(account.id), reserved, used))

    def used(self, account: str) -> Amounts:
        row = self._connection.execute(_READ, (account,)).fetchone()
        return NOTHING if row is None else Amounts(*row)

    def _write(self, account: str, used: Amounts) -> None:
        self._connection.execute(_WRITE, (account, used.money, used.tokens, used.calls))


_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS used (account TEXT PRIMARY KEY, money INTEGER NOT NULL,"
    " tokens INTEGER NOT NULL, calls INTEGER NOT NULL) WITHOUT ROWID"
)
_READ: Final = "SELECT money, tokens, calls FROM used WHERE account = ?"
_WRITE: Final = "INSERT OR REPLACE INTO used VALUES (?, ?, ?, ?)"


def check_left(account: Account, used: Amounts, amounts: Amounts) -> None:
    """Check that an account has so much left.

    Raises:
        BudgetExhausted: It has not.

    """
    for resource in RESOURCES:
        limit: int | None = getattr(account.limit, resource)
        wanted: int = getattr(amounts, resource)
        left = None if limit is None else limit - getattr(used, resource)
        if left is not None and wanted > left:
            raise BudgetExhausted(
                f"The call may take {wanted} {resource}, and {max(0, left)} of {limit} are left.",
                hint="Ask for a shorter answer, or get a token with a larger budget.",
                details={"resource": resource, "left": max(0, left), "wanted": wanted},
            )


def replaced(all_used: Amounts, reserved: Amounts, used: Amounts) -> Amounts:
    """Return the sum with what was set aside replaced by what was used."""
    return Amounts(
        max(0, all_used.money - reserved.money) + used.money,
        max(0, all_used.tokens - reserved.tokens) + used.tokens,
        max(0, all_used.calls - reserved.calls) + used.calls,
    )
