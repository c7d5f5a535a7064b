"""The Unix socket that Kong connects to."""

from __future__ import annotations

import _socket
import contextlib
import os
import stat
from pathlib import Path

from .predecessor import connect

BACKLOG = 4096


class CannotListen(Exception):
    """Says in one line which path, and why."""


class Listener:
    """A listening socket that appears at its path complete, and takes the path over from whoever had it.

    After `kong reload` a new server starts beside the old one, on the same path. The new socket is made
    under another name and moved over the old one: a connection reaches the one or the other, never neither.
    The old server keeps its connections, and does not remove a path that is no longer its own.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.predecessor: _socket.socket | None = None
        """A connection to the server that had the path, if it runs."""
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._bind()
        except OSError as error:
            self.socket.close()
            raise CannotListen(f"cannot listen on {path}: {error.strerror or error}") from None

    def _bind(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(self.path).st_mode):
                raise OSError(None, "there is a file of that name which is not a socket")
        own_name = self.path.with_name(f".{os.getpid():x}")
        with contextlib.suppress(FileNotFoundError):
            own_name.unlink()
        self.socket.setblocking(False)
        self.socket.bind(str(own_name))
        try:
            # Whoever can connect can ask for the configurations: nobody but Kong's user and group, whatever
            # the umask.
            own_name.chmod(stat.S_IMODE(own_name.lstat().st_mode) & 0o770)
            self.socket.listen(BACKLOG)
            self._identity = _identity(own_name)
            self.predecessor = connect(str(self.path))
            own_name.rename(self.path)
        except OSError:
            own_name.unlink()
            raise

    def accept(self) -> _socket.socket | None:
        """The next connection, or None when there is none now. Raises OSError when the process has no file
        descriptor left."""
        try:
            descriptor, _ = self.socket._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        return _socket.socket(fileno=descriptor)

    @property
    def owns_path(self) -> bool:
        try:
            return _identity(self.path) == self._identity
        except OSError:
            return False

    def withdraw(self) -> None:
        """Let no further connection find this socket; those that have can still be accepted."""
        if self.owns_path:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def close(self) -> None:
        self.withdraw()
        self.socket.close()


def _identity(path: Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
