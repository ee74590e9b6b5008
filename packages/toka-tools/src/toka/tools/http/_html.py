"""HTML as Markdown or plain text: what a reader sees of it, with its links.

A reader of tokens, not a browser: unclosed and misplaced tags do no harm, scripts and styles do not
run, and what a page hides from people is left out. The parser of the standard library takes time
that grows with the square of some malformed input, so it is fed in pieces under a deadline, and a
tag that never ends is given up.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import urljoin, urlsplit

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

Style: TypeAlias = Literal["markdown", "text"]

MAX_LINKS: Final = 500
MAX_NESTED: Final = 200

_PIECE: Final = 1 << 14
_LONGEST_TAG: Final = 1 << 17


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNSEEN: Final = _words(
    "script style noscript template svg math iframe object canvas audio video select datalist"
    " dialog head"
)
_BLOCKS: Final = _words(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 header hr li main menu nav ol p pre section summary table"
    " tbody td tfoot th thead tr ul"
)
_VOID: Final = _words("area base br col embed hr img input link meta param source track wbr")
_OF_HEAD: Final = _words("html head title base link meta style script noscript template")
_PARAGRAPHS: Final = _words("h1 h2 h3 h4 h5 h6 p pre blockquote table ul ol dl hr")
_MARKS: Final = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`"}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Controls, directional overrides and tags: nobody sees them, and a model reads them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)
_SPACES = re.compile(r"[ \t\n\r\f\u00a0]+")


@attrs.frozen
class Page:
    """What a reader sees of a page."""

    title: str
    text: str
    links: tuple[tuple[str, str], ...]
    """Text and absolute address of each."""


def read_html(html: str, base: str, style: Style, check: Callable[[], None]) -> Page:
    """Return what a reader sees.

    Args:
        html: The source.
        base: Its address, from which its links lead.
        style: Markdown, or text without any marks.
        check: Is called between pieces, and may raise to end the work.
    """
    reader = _Reader(base, style)
    for start in range(0, len(html), _PIECE):
        check()
        reader.feed(html[start : start + _PIECE])
        if len(reader.rawdata) > _LONGEST_TAG:
            reader.give_up()
    reader.give_up()
    return reader.page()


class _Reader(HTMLParser):
    """Collects text while tags open and close."""

    def __init__(self, base: str, style: Style) -> None:
        super().__init__(convert_charrefs=True)
        self._base, self._markdown = base, style == "markdown"
        self._open: list[tuple[str, bool]] = []
        self._depths: Counter[str] = Counter()
        self._unseen = 0
        self._preformatted = 0
        self._parts: list[str] = []
        self._title: list[str] = []
        self._in_title = False
        self._lists: list[int | None] = []
        self._quotes = 0
        self._link: tuple[str, int] | None = None
        self._links: dict[tuple[str, str], None] = {}

    def give_up(self) -> None:
        """Take what is left, the beginning of a tag without its end, as nothing."""
        if "<" not in self.rawdata:
            self.handle_data(self.rawdata)
        self.reset()

    def page(self) -> Page:
        """Return what was collected."""
        text = _INVISIBLE.sub("", "".join(self._parts))
        text = re.sub(r"[ \t]+\n", "\n", text)
        title = _SPACES.sub(" ", _INVISIBLE.sub("", "".join(self._title))).strip()
        return Page(title[:1_000], re.sub(r"\n{3,}", "\n\n", text).strip(), tuple(self._links))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title" and not self._title:
            self._in_title = True
            return
        if tag == "base" and not self._parts:
            self._base = urljoin(self._base, dict(attrs).get("href") or "")
        if tag not in _OF_HEAD:
            self._close("head")
        named = dict(attrs)
        hides = (
            tag in _UNSEEN or "hidden" in named or bool(_HIDDEN.search(named.get("style") or ""))
        )
        if tag not in _VOID:
            if len(self._open) >= MAX_NESTED:
                if self._unseen:
                    return
                oldest, _ = self._open.pop(0)
                self._depths[oldest] -= 1
            self._open.append((tag, hides))
            self._depths[tag] += 1
            self._unseen += hides
        if not self._unseen and not hides:
            self._begin(tag, named)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        else:
            self._close(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._unseen:
            self._write(data if self._preformatted else _SPACES.sub(" ", data))

    def _close(self, tag: str) -> None:
        if not self._depths[tag]:
            return
        while True:
            name, hides = self._open.pop()
            self._depths[name] -= 1
            if not self._unseen:
                self._end(name)
            self._unseen -= hides
            if name == tag:
                return

    def _write(self, text: str) -> None:
        if not text:
            return
        at_start = not self._parts or self._parts[-1].endswith(("\n", " "))
        if at_start and not self._preformatted:
            text = text.lstrip(" ")
        if text:
            quoting = self._quotes and self._markdown
            starts = not self._parts or self._parts[-1].endswith("\n")
            self._parts.append("> " * self._quotes + text if quoting and starts else text)

    def _break(self, lines: int) -> None:
        """End the line, with an empty one after it if `lines` is 2."""
        if not self._parts:
            return
        tail = "".join(self._parts[-2:])
        there = len(tail) - len(tail.rstrip("\n"))
        if there < lines:
            self._parts.append("\n" * (lines - there))

    def _begin(self, tag: str, named: dict[str, str | None]) -> None:
        if tag in _BLOCKS:
            self._break(2 if tag in _PARAGRAPHS and not self._lists else 1)
        if tag == "br":
            self._break(1)
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag == "pre":
            self._preformatted += 1
        elif tag == "a" and named.get("href"):
            self._link = (urljoin_safely(self._base, named["href"] or ""), len(self._parts))
        elif tag == "img" and named.get("alt"):
            self._write(f"[image: {named['alt']}]" if self._markdown else f"{named['alt']}")
        self._mark(tag, begins=True)

    def _end(self, tag: str) -> None:
        self._mark(tag, begins=False)
        if tag == "a":
            self._finish_link()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        elif tag in ("td", "th"):
            self._write(" | " if self._markdown else "\t")
            return
        if tag in _BLOCKS:
            self._break(2 if tag in _PARAGRAPHS and not self._lists else 1)

    def _mark(self, tag: str, *, begins: bool) -> None:
        if tag == "blockquote":
            self._quotes = max(0, self._quotes + (1 if begins else -1))
        if not self._markdown:
            return
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" and begins:  # noqa: PLR2004 - h1
            self._write("#" * int(tag[1]) + " ")
        elif tag == "hr" and begins:
            self._write("---")
        elif tag == "pre":
            self._write("```\n" if begins else "\n```")
        elif tag in _MARKS and not self._preformatted:
            self._parts.append(_MARKS[tag])

    def _item(self) -> None:
        if not self._lists:
            return
        number = self._lists[-1]
        if number is not None:
            self._lists[-1] = number + 1
        indent = "  " * (len(self._lists) - 1)
        self._parts.append(indent + ("- " if number is None else f"{number + 1}. "))

    def _finish_link(self) -> None:
        if self._link is None:
            return
        address, start = self._link
        self._link = None
        text = _SPACES.sub(" ", _INVISIBLE.sub("", "".join(self._parts[start:]))).strip()
        if not address or not text:
            return
        if len(self._links) < MAX_LINKS:
            self._links[text[:200], address] = None
        if self._markdown:
            space = " " if self._parts[start][:1] == " " else ""
            self._parts[start:] = [f"{space}[{text}]({address})"]


def urljoin_safely(base: str, href: str) -> str:
    """Return where a link leads, or nothing if that is no page or mailbox."""
    try:
        address = urljoin(base, href.strip())
        scheme = urlsplit(address).scheme
    except ValueError:
        return ""
    address = re.sub(r"[\s<>()]", lambda match: f"%{ord(match[0]):02X}", address)
    return address if scheme in ("http", "https", "mailto") else ""
