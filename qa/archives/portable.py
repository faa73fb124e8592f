"""A configuration that works wherever its folder is put."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from index.errors import ReadError
from qa.archives.manifest import Header


def read_values(text: bytes) -> dict[str, Any]:
    """The settings in a configuration file, as they are written there."""
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ReadError("config.yaml in the backup is not valid YAML; write one here, and restore again") from exc
    return values if isinstance(values, dict) else {}


def portable(values: dict[str, Any], header: Header) -> dict[str, Any]:
    """Settings with every folder and file inside the configuration's own folder; unchanged where they are already."""
    folders = {name: _inside(it.folder, f"documents/{name}") for name, it in header.collections.items()}
    given = values.get("corpus")
    is_same = (
        isinstance(given, list)
        and given == list(folders.values())
        and all(Path(folder).name == name for name, folder in folders.items())
    )
    plain = {**values, "corpus": given if is_same or given == folders else folders}
    for key, wanted, fallback in (
        ("data_dir", header.data_dir, "data"),
        ("dictionary", header.dictionary, "dictionary.txt"),
        ("synonyms", header.synonyms, "synonyms.txt"),
    ):
        if wanted is not None:
            plain[key] = _inside(wanted, fallback)
        elif key in plain:
            plain[key] = None
    return plain


def _inside(path: str, otherwise: str) -> str:
    parts = Path(path).parts
    return otherwise if Path(path).is_absolute() or ".." in parts or path.startswith("~") else path


def dump(values: dict[str, Any]) -> bytes:
    """Settings as a file."""
    note = "# Written by cited-qa, with every folder beside this file; config.yaml of its source explains the keys.\n"
    return (note + yaml.safe_dump(values, allow_unicode=True, sort_keys=False)).encode()
