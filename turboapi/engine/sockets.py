"""The listening sockets of a server: made, named and closed here, lent to the engine as descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass

from .failures import BindError

__all__ = ["Listeners", "bind"]

# Whoever puts another class in its place, to keep tests from the network, means their connections to others.
_Socket = socket.socket
_FAMILY_NAMES = {socket.AF_INET: "inet", socket.AF_INET6: "inet6", socket.AF_UNIX: "unix"}
# Tries to find one port that is free on every address, when the system chooses it.
_PORT_TRIES = 20


@dataclass(slots=True)
class Listeners:
    """Bound sockets of one server, first the one that its URL names. Close it exactly once; more do nothing."""

    sockets: list[socket.socket]
    host: str
    # The TCP port, None on a Unix socket; known after close, too.
    port: int | None = None
    uds: str | None = None
    # (device, inode) of the socket file, so that a successor's file is left alone.
    _file: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        """Return the URL a client on this machine can use: http://127.0.0.1:8000, or http+unix://%2Frun%2Fapp.sock."""
        if self.uds is not None:
            return "http+unix://" + self.uds.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def listen(self, backlog: int) -> None:
        """Start to queue connections. Raises BindError."""
        for sock in self.sockets:
            try:
                sock.listen(backlog)
            except OSError as error:
                raise _bind_error(error, _name(sock)) from None

    def for_engine(self) -> list[tuple[int, str]]:
        """Return (descriptor, family) of each socket. The descriptors stay ours."""
        return [(sock.fileno(), _FAMILY_NAMES[sock.family]) for sock in self.sockets]

    def close(self) -> None:
        """Close the sockets and remove the socket file, unless another server has put its own there."""
        while self.sockets:
            self.sockets.pop().close()
        if self._file is not None and self.uds is not None:
            with contextlib.suppress(OSError):
                found = os.stat(self.uds)
                if (found.st_dev, found.st_ino) == self._file:
                    os.unlink(self.uds)
            self._file = None


def bind(host: str | None, port: int, uds: str | None) -> Listeners:
    """Return sockets bound to every address of `host`, or to the Unix socket `uds`. They do not listen yet.

    Raises BindError with a message that names the address.
    """
    if uds is not None:
        return _bind_unix(uds)
    addresses = _resolve(host, port)
    name = host or addresses[0][1][0]
    for _ in range(_PORT_TRIES if port == 0 else 0):
        try:
            return _bind_all(addresses, name)
        except BindError as error:
            # A port that the system chose for the first address may be taken on the second one.
            if error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(addresses, name)


def _resolve(host: str | None, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    flags = socket.AI_PASSIVE
    try:
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, socket.gaierror) else None
        raise BindError(number, f"cannot listen on host {host!r}: {error}") from None
    # Unique, order kept: a name may resolve to the same address twice.
    found = {(info[0], info[4]): None for info in infos if info[0] in (socket.AF_INET, socket.AF_INET6)}
    if not found:
        raise BindError(errno.EADDRNOTAVAIL, f"cannot listen on host {host!r}: it has no IP address")
    return list(found)  # type: ignore[arg-type]


def _bind_all(addresses: list[tuple[socket.AddressFamily, tuple[str, int]]], host: str) -> Listeners:
    listeners = Listeners([], host)
    skipped: BindError | None = None
    try:
        for family, address in addresses:
            if address[1] == 0 and listeners.sockets:
                address = (address[0], listeners.port or 0, *address[2:])
            try:
                sock = _bind_one(family, address)
                listeners.sockets.append(sock)
                listeners.port = listeners.port or int(sock.getsockname()[1])
            except BindError as error:
                # "localhost" is often ::1 too where the machine has no IPv6; one address is enough.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                skipped = error
        if not listeners.sockets and skipped is not None:
            raise skipped
    except BaseException:
        listeners.close()
        raise
    return listeners


def _bind_one(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    try:
        sock = _Socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _bind_error(error, _text(address)) from None
    try:
        # A port whose last connections are in TIME_WAIT is free; Windows would read the option as "share it".
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _bind_error(error, _text(address)) from None
    return sock


def _bind_unix(path: str) -> Listeners:
    if not hasattr(socket, "AF_UNIX"):
        raise BindError(errno.EAFNOSUPPORT, f"cannot listen on {path!r}: this system has no Unix sockets")
    # "\0name" is a Linux abstract socket, which has no file.
    abstract = path.startswith("\0")
    mode = 0o666 if abstract else _clear_stale(path)
    sock = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        if abstract:
            return Listeners([sock], path, uds=path)
        made = os.stat(path)
        os.chmod(path, mode)
    except OSError as error:
        sock.close()
        raise _bind_error(error, repr(path)) from None
    return Listeners([sock], path, uds=path, _file=(made.st_dev, made.st_ino))


def _clear_stale(path: str) -> int:
    """Remove a socket file that nobody listens on and return its mode; 0o666 where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0o666
    except OSError as error:
        raise _bind_error(error, repr(path)) from None
    if not stat.S_ISSOCK(found.st_mode):
        raise BindError(errno.EEXIST, f"cannot listen on {path!r}: a file is there that is not a socket")
    with _Socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return stat.S_IMODE(found.st_mode)
        except FileNotFoundError:
            return stat.S_IMODE(found.st_mode)
        except OSError:
            pass  # a full queue, no permission: somebody is there
    raise BindError(errno.EADDRINUSE, f"cannot listen on {path!r}: another process listens on this Unix socket")


def _bind_error(error: OSError, where: str) -> BindError:
    reason = {
        errno.EADDRINUSE: "the port is in use. Stop the other server, or choose another port",
        errno.EACCES: "permission denied. Ports below 1024 need privileges, Unix sockets a writable directory",
        errno.EADDRNOTAVAIL: "no interface of this machine has that address",
        errno.ENOENT: "its directory does not exist",
    }.get(error.errno or 0, error.strerror or str(error))
    return BindError(error.errno, f"cannot listen on {where}: {reason}")


def _name(sock: socket.socket) -> str:
    name = sock.getsockname()
    return _text(name) if isinstance(name, tuple) else repr(name)


def _text(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
