"""The error numbers of WASI preview 1, and which of the host's they stand for."""

from __future__ import annotations

import errno
from functools import wraps
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toka.cvm._host_function import Body
    from toka.cvm._session import Session

SUCCESS: Final = 0
BADF: Final = 8
INVAL: Final = 28
IO: Final = 29
ISDIR: Final = 31
NOTDIR: Final = 54
NOTSUP: Final = 58
SPIPE: Final = 70
NOTCAPABLE: Final = 76

_BY_ERRNO: Final = {
    errno.EACCES: 2,
    errno.EBUSY: 10,
    errno.EEXIST: 20,
    errno.EFBIG: 22,
    errno.EILSEQ: 25,
    errno.EINVAL: INVAL,
    errno.EISDIR: ISDIR,
    errno.ELOOP: 32,
    errno.EMFILE: 33,
    errno.ENAMETOOLONG: 37,
    errno.ENOENT: 44,
    errno.ENOSPC: 51,
    errno.ENOTDIR: NOTDIR,
    errno.ENOTEMPTY: 55,
    errno.EPERM: 63,
    errno.EROFS: 69,
    errno.ESPIPE: SPIPE,
    errno.EXDEV: 75,
}


def answering(body: Body) -> Body:
    """Let a host function answer with the number of an `OSError`; its text stays here."""

    @wraps(body)
    def answer(session: Session, *arguments: int) -> int | None:
        try:
            return body(session, *arguments)
        except PermissionError as error:
            return NOTCAPABLE if error.errno == errno.EPERM else _BY_ERRNO[errno.EACCES]
        except OSError as error:
            return _BY_ERRNO.get(error.errno or 0, IO)

    return answer
