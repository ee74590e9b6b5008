"""Style sheets and scripts of the wheel, under an address that changes when any of them does."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class Assets:
    """The files, read once.

    Attributes:
        base: Where they are; scripts import each other relative to it.
    """

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir())}
        digest = hashlib.sha256()
        for name, data in self._files.items():
            digest.update(b"%d %d %b%b" % (len(name), len(data), name.encode(), data))
        self._version = digest.hexdigest()[:16]
        self.base = f"/ui/static/{self._version}"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with a file.

        Raises:
            HTTPNotFound: There is none of that name.
        """
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        kept = request.match_info["version"] == self._version
        return web.Response(
            body=self._files[name],
            content_type=_TYPES[Path(name).suffix],
            charset="utf-8",
            headers={
                # A page of the version before may still ask; what it gets must not be kept as old.
                "Cache-Control": "public, max-age=31536000, immutable" if kept else "no-store",
            },
        )
