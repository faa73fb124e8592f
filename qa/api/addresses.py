"""Addresses of the network: what is listened on, and whom that reaches."""

from __future__ import annotations

import errno
import ipaddress
import socket

from index.errors import ConfigError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
BACKLOG = 512
_LAST_PORT = 65535
_IPV6_HOME_BITS = 64  # the least that a household gets


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or host name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def neighbourhood(host: str) -> str:
    """The address that a limit counts for: with IPv6 the network that a household gets, within which it may choose."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_HOME_BITS), strict=False))
    return str(address)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Raises:
        ConfigError: the address is in use, not this machine's, or not allowed.
    """
    if not 0 <= port <= _LAST_PORT:
        raise ConfigError(f"server.port: {port} is not a port; choose one from 0 to {_LAST_PORT} with --port")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as exc:
        raise ConfigError(_refusal(host, port, exc)) from exc
    # asyncio sends without delay only on sockets that say they are TCP; otherwise each answer waits some 40 ms.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach())


def _refusal(host: str, port: int, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"server.port: {host}:{port} is in use; choose another with --port"
    if number == errno.EACCES:
        return f"server.port: this user may not listen on port {port}; choose one above 1023 with --port"
    return f"server.host: {host!r} is not an address of this machine; choose another with --host"
