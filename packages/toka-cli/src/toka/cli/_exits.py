"""Exit statuses, which scripts may rely on. `toka --help` prints this table."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    MET = 0
    """Done; of a run: every objective was met."""
    NOT_MET = 1
    """The run ended, or stopped, and an objective was not met; or what was asked for is not so."""
    USAGE = 2
    """The command line, a specification or an input is wrong; nothing was started."""
    DATA = 3
    """The data directory cannot be used: locked, damaged, newer, read-only."""
    WAITING = 4
    """The run waits for a person's approval; answer it and run the same command again."""
    REFUSED = 5
    """A token was not good, or does not cover what was asked."""
    FAILED = 70
    """Something else went wrong; the message has the code."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; a run can be gone on with by the same command."""


# The first that fits decides, so a code stands before its family.
_BY_CODE: tuple[tuple[str, Exit], ...] = (
    ("agent.entry_invalid", Exit.USAGE),
    ("agent.step_differs", Exit.USAGE),
    ("auth.bad_key_file", Exit.DATA),
    ("auth.no_key_file", Exit.DATA),
    ("auth.", Exit.REFUSED),
    ("capability.", Exit.USAGE),
    ("cli.data_unusable", Exit.DATA),
    ("cli.unreachable", Exit.FAILED),
    ("cli.", Exit.USAGE),
    ("cvm.bad_call", Exit.USAGE),
    ("cvm.import_refused", Exit.REFUSED),
    ("cvm.invalid_module", Exit.USAGE),
    ("cvm.module_too_large", Exit.USAGE),
    ("cvm.", Exit.NOT_MET),
    ("kernel.approval_self", Exit.REFUSED),
    ("kernel.capability_denied", Exit.REFUSED),
    ("kernel.unknown_kind", Exit.DATA),
    ("kernel.", Exit.NOT_MET),
    ("llm.configuration_invalid", Exit.USAGE),
    ("orchestration.run_active", Exit.NOT_MET),
    ("orchestration.spec_changed", Exit.USAGE),
    ("orchestration.step_not_recorded", Exit.DATA),
    ("orchestration.unknown_run", Exit.USAGE),
    ("orchestration.unknown_step", Exit.USAGE),
    ("performance.", Exit.USAGE),
    ("runtime.log", Exit.DATA),
    ("semantic.model_missing", Exit.USAGE),
    ("service.conflict", Exit.NOT_MET),
    ("service.forbidden", Exit.REFUSED),
    ("service.not_found", Exit.NOT_MET),
    ("service.", Exit.USAGE),
    ("spec.", Exit.USAGE),
    ("store.exists", Exit.USAGE),
    ("store.invalid_location", Exit.USAGE),
    ("store.unknown_scheme", Exit.USAGE),
    ("store.unknown_snapshot", Exit.USAGE),
    ("store.unsupported", Exit.USAGE),
    ("store.", Exit.DATA),
    ("tools.access_denied", Exit.REFUSED),
    ("tools.address_denied", Exit.REFUSED),
    ("tools.command_denied", Exit.REFUSED),
    ("tools.invalid_arguments", Exit.USAGE),
    ("tools.path_denied", Exit.REFUSED),
    ("tools.sandbox_unavailable", Exit.REFUSED),
    ("tools.unknown_tool", Exit.USAGE),
    ("tools.", Exit.NOT_MET),
    ("types.", Exit.USAGE),
)


def exit_for(code: str) -> Exit:
    """Return the exit status for an error with that code."""
    return next((status for prefix, status in _BY_CODE if code.startswith(prefix)), Exit.FAILED)


TABLE = """\
0 done, every objective met    1 not met or not so    2 wrong usage, specification or input
3 data directory unusable      4 waits for approval   5 refused    70 other failure
130 interrupted, and resumable"""
