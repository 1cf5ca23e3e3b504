"""Listening sockets: addresses, one port for several of them, Unix sockets and what is left of them."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from turboapi.engine.failures import BindError
from turboapi.engine.sockets import bind


def connects(family: socket.AddressFamily, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(address)
        except OSError:
            return False
        return True


has_ipv6 = socket.has_ipv6 and Path("/proc/net/if_inet6").exists() and Path("/proc/net/if_inet6").read_text() != ""


def test_port_zero_is_a_port_that_clients_can_use() -> None:
    listeners = bind("127.0.0.1", 0, None)
    listeners.listen(5)
    assert listeners.url == f"http://127.0.0.1:{listeners.port}"
    assert connects(socket.AF_INET, ("127.0.0.1", listeners.port))
    listeners.close()
    assert not connects(socket.AF_INET, ("127.0.0.1", listeners.port))


def test_port_in_use_says_so() -> None:
    first = bind("127.0.0.1", 0, None)
    first.listen(5)
    with pytest.raises(BindError, match=rf"cannot listen on 127\.0\.0\.1:{first.port}: the port is in use") as caught:
        bind("127.0.0.1", first.port or 0, None)
    assert caught.value.errno == errno.EADDRINUSE
    first.close()


def test_port_taken_between_bind_and_listen_says_so() -> None:
    # Two sockets with SO_REUSEADDR may be bound to one port as long as neither listens.
    first = bind("127.0.0.1", 0, None)
    second = bind("127.0.0.1", first.port or 0, None)
    first.listen(5)
    with pytest.raises(BindError, match="the port is in use"):
        second.listen(5)
    first.close()
    second.close()


def test_address_of_another_machine_says_so() -> None:
    with pytest.raises(BindError, match="no interface of this machine has that address"):
        bind("192.0.2.1", 0, None)


def test_name_that_does_not_resolve_says_so() -> None:
    with pytest.raises(BindError, match=r"cannot listen on host 'no-such-host\.invalid'"):
        bind("no-such-host.invalid", 0, None)


def test_name_with_a_label_that_is_too_long_says_so() -> None:
    with pytest.raises(BindError, match="cannot listen on host"):
        bind("x" * 80, 0, None)


@pytest.mark.skipif(not has_ipv6, reason="this machine has no IPv6")
def test_ipv6_is_in_brackets_in_the_url() -> None:
    listeners = bind("::1", 0, None)
    listeners.listen(5)
    assert listeners.url == f"http://[::1]:{listeners.port}"
    assert listeners.for_engine()[0][1] == "inet6"
    assert connects(socket.AF_INET6, ("::1", listeners.port))
    listeners.close()


@pytest.mark.skipif(not has_ipv6, reason="this machine has no IPv6")
def test_no_host_is_every_interface_on_one_port() -> None:
    listeners = bind(None, 0, None)
    listeners.listen(5)
    assert sorted(family for _, family in listeners.for_engine()) == ["inet", "inet6"]
    assert connects(socket.AF_INET, ("127.0.0.1", listeners.port))
    assert connects(socket.AF_INET6, ("::1", listeners.port))
    listeners.close()


def test_url_of_every_interface_is_one_that_a_client_can_use() -> None:
    listeners = bind("0.0.0.0", 0, None)
    assert listeners.url == f"http://127.0.0.1:{listeners.port}"
    listeners.close()


def test_sockets_do_not_block_and_are_not_inherited() -> None:
    listeners = bind("127.0.0.1", 0, None)
    assert not listeners.sockets[0].getblocking()
    assert not listeners.sockets[0].get_inheritable()
    listeners.close()


def test_unix_socket_is_for_everyone_and_gone_after_close(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    listeners = bind(None, 0, str(path))
    listeners.listen(5)
    assert (listeners.port, listeners.url) == (None, "http+unix://" + str(path).replace("/", "%2F"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert connects(socket.AF_UNIX, str(path))
    listeners.close()
    assert not path.exists()


def test_unix_socket_of_a_dead_server_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(0o600)
    listeners = bind(None, 0, str(path))
    listeners.listen(5)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert connects(socket.AF_UNIX, str(path))
    listeners.close()


def test_unix_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    first = bind(None, 0, path)
    first.listen(5)
    with pytest.raises(BindError, match="another process listens on this Unix socket"):
        bind(None, 0, path)
    assert connects(socket.AF_UNIX, path)
    first.close()


def test_unix_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    first = bind(None, 0, str(path))
    path.unlink()
    second = bind(None, 0, str(path))
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(BindError, match="a file is there that is not a socket"):
        bind(None, 0, str(path))
    assert path.read_text() == "mine"


def test_unix_socket_in_a_directory_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="its directory does not exist"):
        bind(None, 0, str(tmp_path / "nowhere" / "app.sock"))


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="abstract sockets are Linux's")
def test_abstract_unix_socket_has_no_file() -> None:
    name = f"\0turboapi-test-{os.getpid()}"
    listeners = bind(None, 0, name)
    listeners.listen(5)
    assert connects(socket.AF_UNIX, name)
    listeners.close()


def test_close_twice_closes_once() -> None:
    listeners = bind("127.0.0.1", 0, None)
    listeners.close()
    listeners.close()
    assert listeners.sockets == []
