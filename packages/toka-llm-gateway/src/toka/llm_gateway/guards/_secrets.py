"""Keys and tokens, by the shapes that detect-secrets keeps, and a few that it has not.

Only shapes that say what they are: a prefix, a marker, a fixed length. What merely looks random,
speaks of passwords, or names an address is left alone, because ordinary text does that.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway.guards._guard import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toka.llm_gateway.guards._guard import Where

_TAKEN: Final[Mapping[str, tuple[str, ...]]] = {
    "AWSKeyDetector": ("AKIA", "ASIA", "ABIA", "ACCA", "A3T", "aws", "AWS"),
    "AzureStorageKeyDetector": ("AccountKey=",),
    "DiscordBotTokenDetector": (".",),
    "GitHubTokenDetector": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    "GitLabTokenDetector": ("gl", "GR1348941"),
    "MailchimpDetector": ("-us",),
    "NpmDetector": ("_authToken",),
    "OpenAIDetector": ("T3BlbkFJ",),
    "PypiTokenDetector": ("pypi-",),
    "SendGridDetector": ("SG.",),
    "SlackDetector": ("xox", "hooks.slack.com"),
    "SquareOAuthDetector": ("sq0csp-",),
    "StripeDetector": ("k_live_",),
    "TelegramBotTokenDetector": (":",),
    "TwilioKeyDetector": ("AC", "SK"),
}
"""Detectors whose shapes say what they are, and what a text must hold for them to be worth a look.

Left out: addresses, which are no secrets; assignments and credentials in addresses, whose shapes
are those of ordinary examples; headers of keys, where the whole key is in `_OWN`."""

_OWN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "private-key",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY[A-Z ]{0,6}-----[^-]+-----END [A-Z ]{0,20}PRIVATE KEY",
    ),
    ("anthropic-key", "sk-ant-", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("openai-key", "sk-", r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}"),
    ("openrouter-key", "sk-or-", r"\bsk-or-v1-[0-9a-f]{64}\b"),
    ("google-key", "AIza", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("github-token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{50,}"),
    ("hugging-face-token", "hf_", r"\bhf_[A-Za-z]{34}\b"),
    ("groq-key", "gsk_", r"\bgsk_[A-Za-z0-9]{40,}\b"),
    ("json-web-token", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
)


@attrs.frozen
class _Rule:
    name: str
    pattern: re.Pattern[str]
    words: tuple[str, ...] = ()
    """One of them is in whatever matches; empty where nothing is known."""


class SecretRedactor:
    """Replaces keys and tokens by a mark that says what was there.

    It needs the extra `redaction` (detect-secrets).
    """

    name = "secrets"

    def __init__(self, extra: Iterable[tuple[str, str]] = ()) -> None:
        """Prepare to redact.

        Args:
            extra: Further shapes: a name and a regular expression each.

        Raises:
            ConfigurationInvalid: detect-secrets is not installed, or an expression is none.

        """
        try:
            added = [_Rule(name, re.compile(pattern)) for name, pattern in extra]
        except re.error as error:
            raise ConfigurationInvalid(f"A shape of secrets is malformed: {error}.") from error
        own = [_Rule(name, re.compile(pattern), (word,)) for name, word, pattern in _OWN]
        self._rules: Final = [*own, *_detectors(), *added]
        # A rule without words is always looked for: the empty word is in every text.
        self._words: Final = [
            (word, number)
            for number, rule in enumerate(self._rules)
            for word in rule.words or ("",)
        ]

    @property
    def rules(self) -> int:
        """How many shapes are known."""
        return len(self._rules)

    def redact(self, text: str) -> str:
        """Return a text without secrets."""
        return self.inspect(text, "user").text

    def inspect(self, text: str, where: Where) -> Verdict:
        del where
        # Looking for a word costs a hundredth of looking for a shape.
        hits = [number for word, number in self._words if word in text]
        if not hits:
            return Verdict(text)
        found: list[str] = []
        for number in sorted(set(hits)):
            rule = self._rules[number]
            text, count = rule.pattern.subn(f"[secret: {rule.name}]", text)
            if count:
                found.append(rule.name)
        return Verdict(text, ", ".join(found))


class RedactingFilter(logging.Filter):
    """Takes secrets out of log records. Add it to handlers, so that it sees all loggers."""

    def __init__(self, redactor: SecretRedactor) -> None:
        """Prepare to filter."""
        super().__init__()
        self._redactor: Final = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._redactor.redact(record.getMessage())
        record.args = None
        return True


def _detectors() -> Iterator[_Rule]:
    try:
        from detect_secrets.core.plugins.util import (  # noqa: PLC0415 - an extra
            get_mapping_from_secret_type_to_class,
        )
    except ImportError:
        missing = ConfigurationInvalid(
            "Redacting needs detect-secrets.", hint="pip install 'toka-llm-gateway[redaction]'"
        )
    else:
        found: Mapping[str, object] = get_mapping_from_secret_type_to_class()
        for kind, detector in found.items():
            words = _TAKEN.get(getattr(detector, "__name__", ""))
            patterns: Iterable[object] = getattr(detector, "denylist", ()) if words else ()
            name = kind.lower().replace(" ", "-")
            for pattern in patterns:
                if isinstance(pattern, re.Pattern):
                    yield _Rule(name, cast("re.Pattern[str]", pattern), words or ())
        return
    raise missing
