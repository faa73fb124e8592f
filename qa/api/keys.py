"""The API keys that a server takes, and whose they are."""

from __future__ import annotations

import hashlib
import hmac
import logging
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from index.errors import ConfigError
from qa.configuration.config import Config
from qa.configuration.keys import ApiKey, Role, parse_keys, read_keys

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is. Without keys everyone is an admin without a name; `role` is None for a wrong or no key."""

    name: str | None = None
    role: Role | None = None


class KeyRing:
    """The keys that are configured, as digests: none is kept in memory that could be shown."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._callers = [(_digest(key.key.get_secret_value()), Caller(key.name, key.role)) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._callers)

    def caller(self, key: str) -> Caller:
        """Whose key it is. Every key is compared, in a time that tells nothing of them."""
        digest, owner = _digest(key), Caller()
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                owner = caller
        return owner


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def keys_of(config: Config) -> KeyRing:
    """The keys in the configuration and in its file of keys.

    Raises:
        ConfigError: the file can't be used, or a name or key is there twice.
    """
    file = config.api_keys_file
    if file is None:
        return KeyRing(config.server.api_keys)
    together = [*config.server.api_keys, *read_keys(file)]
    try:
        parse_keys(f"{key.name}:{key.role}:{key.key.get_secret_value()}" for key in together)
    except ValueError as exc:
        raise ConfigError(f"server.api_keys and {file}: {exc}") from exc
    if file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        logger.warning("%s: every user of this machine can read the keys; run: chmod 600 %s", file, file)
    return KeyRing(together)
