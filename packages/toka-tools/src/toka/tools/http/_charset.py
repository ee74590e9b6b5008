"""The text of a body, by what its sender says of it.

Only encodings of the WHATWG Encoding standard are taken: Python knows others, some of which take
time that grows with the square of the text, and some that are no encodings of text at all.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from toka.tools._errors import HttpRequestError

_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_META = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.IGNORECASE
)
_SNIFFED_BYTES: Final = 1_024
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What the labels of the standard are in Python; for the web, Latin-1 and ASCII are windows-1252.
_SAME: Final = _words("""
    utf-8 utf-16-be utf-16-le ibm866 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7
    iso8859-8 iso8859-10 iso8859-13 iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-u mac-roman
    cp874 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 mac-cyrillic gb18030 big5
    euc_jp iso2022_jp shift_jis euc_kr cp866 mac_roman koi8_u
    """)
_INSTEAD: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
}


def find_charset(label: str) -> str | None:
    """Return the codec for a label of the web, or None for what is not one."""
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    return _INSTEAD.get(name) or (name if name in _SAME else None)


def charset_label(content_type: str) -> str | None:
    """Return what a Content-Type says about the encoding, None if it says nothing."""
    match = _CHARSET.search(content_type)
    return None if match is None else match[1]


def text_of(data: bytes, content_type: str) -> str:
    """Return a page's text: by its mark, its header, its `meta`, or else as UTF-8.

    Bytes that are none of the encoding become replacement characters.

    Raises:
        HttpRequestError: The header names an encoding that is not of the web.
    """
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    label = charset_label(content_type)
    charset = None if label is None else find_charset(label)
    if label is not None and charset is None:
        raise HttpRequestError(f"The answer is in the unknown encoding {label!r}.")
    if charset is None:
        match = _META.search(data[:_SNIFFED_BYTES])
        charset = match and find_charset(match[1].decode())
        if charset is not None and charset.startswith("utf-16"):
            charset = "utf-8"  # a page whose ASCII says so is not in it
    return data.decode(charset or "utf-8", "replace")
