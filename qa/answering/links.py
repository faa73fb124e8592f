"""Where a citation leads: the page that shows the document, scrolled to the quote."""

from __future__ import annotations

from qa.configuration.settings import ServerConfig

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown to people, not bound


def server_url(server: ServerConfig) -> str:
    """The address that people know the server by: the public one, or where `qa serve` listens."""
    return server.public_url or address(server.host, server.port)


def address(host: str, port: int) -> str:
    """The address of a host and port; of every address of this machine its loopback one."""
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def passage_link(document_id: str, start: int, end: int, base_url: str = "") -> str:
    """The address that opens a document at `text[start:end]`; without `base_url` it counts from the server's root."""
    return f"{base_url.rstrip('/')}/documents/{document_id}?start={start}&end={end}"


def absolute(link: str, base_url: str) -> str:
    """A link of ours as one that works outside the server's own pages; one that is absolute already stays."""
    return f"{base_url.rstrip('/')}{link}" if link.startswith("/") else link
