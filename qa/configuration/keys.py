"""API keys as people write them: `name:role:KEY`, in config.yaml, in the environment, or in a file, one a line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from index.errors import ConfigError

Role = Literal["read", "admin"]

FORM = "name:role:KEY, where the role is read or admin"
MIN_KEY_CHARS = 24
# A name is shorter than any key, so a key written in its place is refused, never shown.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,20}")
_KEY = re.compile(rf"[!-+\--~]{{{MIN_KEY_CHARS},256}}")


class ApiKey(BaseModel):
    """Who may do what; `name` is what logs and limits show of it."""

    model_config = ConfigDict(frozen=True)
    name: str
    role: Role
    key: SecretStr


def parse_keys(lines: Iterable[str]) -> tuple[ApiKey, ...]:
    """The keys that `lines` hold, one each.

    Raises:
        ValueError: one is malformed, too short, or there twice; the message never shows a key.
    """
    keys: list[ApiKey] = []
    for number, line in enumerate(lines, 1):
        name, role, key = [*line.strip().split(":", 2), "", ""][:3]
        if not _NAME.fullmatch(name):
            raise ValueError(f"entry {number}: write {FORM}; a name is 1 to 20 letters, digits, _ . or -")
        if role not in ("read", "admin"):
            raise ValueError(f"the entry of {name!r}: write {FORM}")
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"the key of {name!r} must be {MIN_KEY_CHARS} to 256 visible ASCII characters without a comma; "
                "make one with: openssl rand -hex 24"
            )
        keys.append(ApiKey(name=name, role=role, key=SecretStr(key)))
    for names in ([key.name for key in keys], [key.key.get_secret_value() for key in keys]):
        twice = [key.name for place, key in enumerate(keys) if names[place] in names[:place]]
        if twice:
            raise ValueError(f"{twice[0]!r} has a name or a key that an entry before it has; give each its own")
    return tuple(keys)


def read_keys(file: Path) -> tuple[ApiKey, ...]:
    """The keys in a file; empty lines and those that begin with # count for nothing.

    Raises:
        ConfigError: it can't be read, is not UTF-8, or holds no keys or a wrong one.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        keys = parse_keys(line for line in lines if not line.lstrip().startswith("#"))
    except OSError as exc:
        raise ConfigError(f"server.api_keys_file: {file}: {exc.strerror}; give a file that holds {FORM} lines") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"server.api_keys_file: {file}: is not UTF-8; save it as UTF-8") from exc
    except ValueError as exc:
        raise ConfigError(f"server.api_keys_file: {file}: {exc}") from exc
    if not keys:
        raise ConfigError(f"server.api_keys_file: {file}: holds no keys; write {FORM} lines")
    return keys
