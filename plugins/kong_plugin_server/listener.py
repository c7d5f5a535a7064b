"""A Unix socket that listens at a path: Kong's way to the plugin server."""

from __future__ import annotations

import _socket
import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from .process_tree import exists

BACKLOG = 4096

_UNFINISHED = re.compile(r"\.([0-9a-f]+)\.new")
"""A socket before it is moved to its path; the process id is in its name."""

MayReplace = Callable[[_socket.socket], "str | None"]
"""Is called with a connection to the server that listens at the path. Returns None when its place may be taken, else
why not."""


class CannotListen(Exception):
    """Says in one line which path, and why."""


class PathInUse(CannotListen):
    """Another server listens there, and its place may not be taken."""


class Listener:
    """A listening socket that appears at its path complete, in the place of whatever socket was there.

    After `kong reload` a new server starts beside the old one, on the same path. The new socket is made
    under another name and moved over the old one: a connection reaches the one or the other, never neither.
    The old server keeps its connections, and does not remove a path that is no longer its own.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        """The socket that listens, after `listen`; each call makes another one."""
        self._identity: tuple[int, int] | None = None

    def listen(self, may_replace: MayReplace) -> _socket.socket | None:
        """Listen at the path, where nobody else does, or `may_replace` allows it. Called again when the path was
        lost; connections that wait in the socket before must have been accepted.

        Returns the connection to the server whose place was taken. Raises CannotListen; nothing has changed then.
        """
        unfinished = self.path.with_name(f".{os.getpid():x}.new")
        fresh = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        replaced = None
        try:
            with contextlib.suppress(FileNotFoundError):
                unfinished.unlink()
            fresh.setblocking(False)
            fresh.bind(str(unfinished))
            # Whoever can connect can ask for the configurations: nobody but Kong's user and group, whatever the
            # umask.
            unfinished.chmod(stat.S_IMODE(unfinished.lstat().st_mode) & 0o770)
            fresh.listen(BACKLOG)
            identity = _identity(unfinished)
            replaced = self._clear(may_replace)
            unfinished.rename(self.path)
        except (OSError, CannotListen) as failure:
            if replaced is not None:
                replaced.close()
            fresh.close()
            with contextlib.suppress(OSError):
                unfinished.unlink()
            if isinstance(failure, OSError):
                raise CannotListen(
                    f"cannot listen on {self.path}: {failure.strerror or failure}"
                ) from failure
            raise
        self.socket.close()
        self.socket = fresh
        self._identity = identity
        self._remove_unfinished()
        return replaced

    def _clear(self, may_replace: MayReplace) -> _socket.socket | None:
        """See that the path may be taken. Returns the connection to the server that has it. Raises CannotListen,
        OSError."""
        while True:
            before = _identity_at(self.path)
            connection = connect(self.path)
            if connection is not None:
                reason = may_replace(connection)
                if reason is not None:
                    connection.close()
                    raise PathInUse(f"cannot listen on {self.path}: {reason}")
            # The question may have taken a while.
            if _identity_at(self.path) == before:
                return connection
            if connection is not None:
                connection.close()

    def _remove_unfinished(self) -> None:
        """Remove what servers have left that were killed before they listened."""
        directory = self.path.parent
        for name in os.listdir(directory):
            unfinished = _UNFINISHED.fullmatch(name)
            if unfinished and not exists(int(unfinished[1], 16)):
                with contextlib.suppress(OSError):
                    if stat.S_ISSOCK(os.lstat(directory / name).st_mode):
                        os.unlink(directory / name)

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
            return self._identity is not None and _identity(self.path) == self._identity
        except OSError:
            return False

    @property
    def is_lost(self) -> bool:
        """Whether nobody listens at the path any more: it was removed, or taken by a process that has ended."""
        if self.owns_path:
            return False
        try:
            other = connect(self.path)
        except OSError:
            return False
        if other is None:
            return True
        other.close()
        return False

    def withdraw(self) -> None:
        """Let no further connection find this socket; those that have can still be accepted."""
        if self.owns_path:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def close(self) -> None:
        self.withdraw()
        self.socket.close()


def connect(path: Path) -> _socket.socket | None:
    """A connection to the server that listens at `path`; None when none does. Raises OSError where that cannot be
    told: BlockingIOError while more connections wait to be accepted than may."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(str(path))
    except OSError as failure:
        sock.close()
        if failure.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return None
        raise
    return sock


def _identity_at(path: Path) -> tuple[int, int] | None:
    """None where there is nothing. Raises OSError for what is not a socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(None, "there is a file of that name which is not a socket")
        return _identity(path)
    except FileNotFoundError:
        return None


def _identity(path: Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
