"""Which program a command names, and what else in the command needs a grant of its own.

An argument list has no shell to be tricked, but programs have options that run other programs, and
variables that load other code. The tables here name those of common programs, so that a grant of
`proc:run:find` is not a grant of `find -exec`: that needs `proc:delegate:find` too. A table like
this is never complete. A grant of an interpreter (`python3`, `sh`, `awk`, `make`) is a grant of all
that it can be told to do.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import quote_resource
from toka.tools._errors import CommandDeniedError, CommandStartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Programs whose arguments are another program.
_WRAPPERS: Final = _words("""
    busybox chroot doas env flock ionice nice nohup nsenter parallel runuser script setpriv setsid
    stdbuf su sudo taskset time timeout unshare watch xargs
""")


@attrs.frozen
class _Rule:
    """How a program is told to run another one."""

    long: tuple[str, ...] = ()
    """Options by name; a GNU program also takes any unambiguous beginning."""
    short: str = ""
    """Option letters, which may stand in a cluster."""
    exact: frozenset[str] = frozenset()
    """Words that count wherever they stand."""


# What git does to a repository without being told to run anything; then its global options that
# change nothing about that, and those that take the next argument.
_GIT_COMMANDS: Final = _words("""
    add annotate archive blame branch cat-file check-attr check-ignore checkout commit
    count-objects describe diff diff-files diff-index diff-tree for-each-ref fsck grep init log
    ls-files ls-tree merge-base mv name-rev reflog reset restore rev-list rev-parse rm shortlog
    show show-ref status switch symbolic-ref tag var version whatchanged write-tree
""")

_GIT_OPTIONS: Final = _words("""
    --bare --help --literal-pathspecs --no-optional-locks --no-pager --version -P -h -v
""")
_GIT_PLACES: Final = _words("-C --git-dir --work-tree")
_GIT_RULE: Final = _Rule(long=("--ext-diff", "--open-files-in-pager"), exact=frozenset({"-O"}))

_RULES: Final[Mapping[str, _Rule]] = {
    "fd": _Rule(long=("--exec", "--exec-batch"), short="xX"),
    "find": _Rule(exact=frozenset({"-exec", "-execdir", "-ok", "-okdir"})),
    "man": _Rule(long=("--pager", "--html", "--preprocessor"), short="PH"),
    "rg": _Rule(long=("--pre", "--hostname-bin")),
    "rsync": _Rule(long=("--rsh", "--rsync-path"), short="e"),
    "scp": _Rule(short="oFS"),
    "sftp": _Rule(short="oFS"),
    "sort": _Rule(long=("--compress-program",)),
    "ssh": _Rule(short="oF"),
    "tar": _Rule(
        long=(
            "--checkpoint-action",
            "--info-script",
            "--new-volume-script",
            "--rmt-command",
            "--rsh-command",
            "--to-command",
            "--use-compress-program",
        ),
        short="IF",
    ),
    "wget": _Rule(long=("--execute", "--use-askpass"), short="e"),
    "zip": _Rule(long=("--unzip-command",), exact=frozenset({"-TT"})),
}
_ALIASES: Final = {"fdfind": "fd", "gtar": "tar", "bsdtar": "tar"}

# `git` runs programs that a repository's own configuration names; these settings forbid it.
_PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "git": {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_KEY_1": "core.hooksPath",
        "GIT_CONFIG_KEY_2": "core.pager",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_VALUE_0": "false",
        "GIT_CONFIG_VALUE_1": "/dev/null",
        "GIT_CONFIG_VALUE_2": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOADER = re.compile(r"(?:LD|DYLD)_")
_HARMLESS_NAME = re.compile(
    r"LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CI|SOURCE_DATE_EPOCH"
)
# No absolute path: a locale or a time zone can be one, and is then a file that is parsed.
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9_.@:+,-]*(?:/[A-Za-z0-9_+-]+)?")


def find_program(name: str, path: Sequence[str]) -> tuple[str, str]:
    """Return the absolute path of a program, and the resource that names it in a permission.

    A bare name is looked up in `path`, never in the working directory or the caller's PATH. A
    program from elsewhere is named by its whole path, so that nobody passes off `/tmp/git` as
    `git`.

    Raises:
        CommandDeniedError: The name is a relative path.
        CommandStartError: There is no such program.
    """
    if not name or "\0" in name or ("/" in name and not name.startswith("/")):
        raise CommandDeniedError(
            f"{name[:80]!r} does not name a program.",
            hint="Give its bare name, or its absolute path.",
        )
    bare = name.rpartition("/")[2]
    known = _look_up(bare, path)
    if known is not None and name in (bare, known):
        return known, quote_resource(bare)
    if name.startswith("/"):
        real = os.path.realpath(name)
        if _is_program(real):
            return real, quote_resource(real)
    raise CommandStartError(
        f"There is no program {name[:200]!r} in {':'.join(path)}.",
        details={"program": name[:200], "path": list(path)},
    )


def _look_up(name: str, path: Sequence[str]) -> str | None:
    if name in ("", ".", ".."):
        return None
    candidates = [f"{directory}/{name}" for directory in path]
    return next((candidate for candidate in candidates if _is_program(candidate)), None)


def _is_program(path: str) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116 - plain text is enough here
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK)


def delegates(argv: Sequence[str]) -> bool:
    """Say whether the arguments tell a program of the tables to run another program."""
    name = argv[0].rpartition("/")[2]
    name = _ALIASES.get(name, name)
    if name in _WRAPPERS:
        return True
    if name == "git":
        return _git_delegates(argv[1:])
    rule = _RULES.get(name)
    return rule is not None and any(_is_option(rule, argument) for argument in argv[1:])


def _is_option(rule: _Rule, argument: str) -> bool:
    if argument in rule.exact:
        return True
    if argument.startswith("--"):
        given = argument.partition("=")[0]
        return given != "--" and any(option.startswith(given) for option in rule.long)
    return argument.startswith("-") and not set(argument[1:]).isdisjoint(rule.short)


def _git_delegates(arguments: Sequence[str]) -> bool:
    words = iter(arguments)
    for word in words:
        if word in _GIT_PLACES:
            next(words, None)
        elif word.startswith("-"):
            if word not in _GIT_OPTIONS and word.partition("=")[0] not in _GIT_PLACES:
                return True
        elif word not in _GIT_COMMANDS:
            return True
        else:
            return any(
                _is_option(_GIT_RULE, option) or (word == "grep" and option.startswith("-O"))
                for option in words
            )
    return False


def environment_requests(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the requests that these variables take: none for the language and the like.

    Raises:
        CommandDeniedError: A variable is never accepted.
    """
    return tuple([f"proc:env:{name}" for name in sorted(variables) if _matters(name, variables)])


def _matters(name: str, variables: Mapping[str, str]) -> bool:
    value = variables[name]
    if not _NAME.fullmatch(name) or _LOADER.match(name) or "\0" in value:
        raise CommandDeniedError(
            f"The environment variable {name[:80]!r} is never accepted.",
            hint="Variables of the dynamic loader would run other code than was granted.",
        )
    return not (_HARMLESS_NAME.fullmatch(name) and _HARMLESS_VALUE.fullmatch(value))


def base_environment(program: str, path: Sequence[str], home: str) -> dict[str, str]:
    """Return all that a command is told of its surroundings unless it is given more."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "PATH": ":".join(path),
        "TMPDIR": home,
        **_PRESETS.get(program.rpartition("/")[2], {}),
    }
