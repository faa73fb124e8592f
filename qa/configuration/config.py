"""The only reader of config.yaml and of the QA_... environment variables."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from index.encoder import BUNDLED, EncoderOptions
from index.errors import ConfigError
from qa.configuration.settings import (
    BotsConfig,
    DingtalkConfig,
    EncoderConfig,
    FeishuConfig,
    LlmConfig,
    MilvusConfig,
    RerankerConfig,
    ServerConfig,
    SlackConfig,
    TrashConfig,
    WecomConfig,
)

if TYPE_CHECKING:
    from index.store import IndexLocation

DEFAULT_FILE = Path("config.yaml")
ENV_PREFIX = "QA_"
_SECRETS = frozenset(
    {"api_key", "api_keys", "client_secret", "app_secret", "verification_token", "encrypt_key", "secret"}
    | {"bot_token", "app_token", "token"}
)


class Config(BaseSettings):
    """Every setting. Relative paths count from the folder that holds the configuration file."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="_", env_nested_max_split=1, extra="forbid"
    )
    corpus: Annotated[dict[str, Path], NoDecode] = Field(default_factory=lambda: {"seeds": Path("seeds")}, min_length=1)
    data_dir: Path = Path("data")
    trash: TrashConfig = TrashConfig()
    encoder: EncoderConfig = EncoderConfig()
    reranker: RerankerConfig = RerankerConfig()
    llm: LlmConfig = LlmConfig()
    dictionary: Path | None = None
    synonyms: Path | None = None
    store: Literal["local", "milvus"] = "local"
    milvus: MilvusConfig = MilvusConfig()
    server: ServerConfig = ServerConfig()
    bots: BotsConfig = BotsConfig()
    dingtalk: DingtalkConfig = DingtalkConfig()
    feishu: FeishuConfig = FeishuConfig()
    wecom: WecomConfig = WecomConfig()
    slack: SlackConfig = SlackConfig()
    _base: Path = PrivateAttr(default_factory=Path.cwd)
    _file: Path | None = PrivateAttr(default=None)

    @field_validator("corpus", mode="before")
    @classmethod
    def _name_collections(cls, value: object) -> object:
        """Accept one folder, a list of folders or name: folder pairs, and `a,b` from the environment."""
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list) or not any(value):
            raise ValueError("give a folder, a list of folders, or `name: folder` lines")
        named: dict[str, Path] = {}
        for item in value:
            pairs = item.items() if isinstance(item, dict) else [(_folder_name(item), item)]
            for name, folder in pairs:
                if name in named:
                    raise ValueError(f"two folders are called {name!r}; name them, as in `name: folder`")
                if not isinstance(folder, str | Path) or not str(folder):
                    raise ValueError(f"{folder!r} is not a folder")
                named[name] = Path(folder)
        return named

    @field_validator("dictionary", "synonyms", mode="before")
    @classmethod
    def _blank_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _reject_blank(cls, value: object) -> object:
        if value == "":
            raise ValueError("give a folder")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def base(self) -> Path:
        """The folder that relative paths count from, absolute."""
        return self._base

    @property
    def file(self) -> Path | None:
        """The configuration file, absolute; None where there is none and all is default or environment."""
        return self._file

    @property
    def corpus_folders(self) -> dict[str, Path]:
        """Collection names and their folders, absolute."""
        return {name: self._base / folder.expanduser() for name, folder in self.corpus.items()}

    @property
    def encoder_model(self) -> str:
        """The encoder's model: a folder beside the configuration file as an absolute path, any other name as it is."""
        if self.encoder.model == BUNDLED or self.encoder.base_url:
            return self.encoder.model
        return self._model(self.encoder.model)

    @property
    def reranker_model(self) -> str:
        """The reranker's model, as `encoder_model`; empty for none."""
        return self._model(self.reranker.model) if self.reranker.model else ""

    def _model(self, name: str) -> str:
        folder = self._base / Path(name).expanduser()
        return str(folder) if folder.is_dir() else name

    @property
    def encoder_options(self) -> EncoderOptions:
        """How an encoder other than the bundled one is reached and run."""
        given = self.encoder.model_dump(exclude={"model", "api_key"})
        key = self.encoder.api_key
        return EncoderOptions(**given, api_key=key.get_secret_value() if key else None)

    @property
    def place(self) -> IndexLocation:
        """Where the index is kept: a folder, or a Milvus server."""
        if self.store == "local":
            from index.store.location import LocalLocation

            return LocalLocation(self.index_dir)
        from index.store.milvus.connection import MilvusOptions
        from index.store.milvus.store import MilvusLocation

        given = self.milvus.model_dump(exclude={"token", "collection_prefix"})
        token = self.milvus.token.get_secret_value() if self.milvus.token else ""
        return MilvusLocation(MilvusOptions(**given, token=token, prefix=self.milvus.collection_prefix))

    @property
    def dictionary_file(self) -> Path | None:
        """The user dictionary, absolute; None without one."""
        return self._base / self.dictionary.expanduser() if self.dictionary else None

    @property
    def synonyms_file(self) -> Path | None:
        """The synonyms file, absolute; None without one."""
        return self._base / self.synonyms.expanduser() if self.synonyms else None

    @property
    def api_keys_file(self) -> Path | None:
        """The file of API keys, absolute; None without one."""
        return self._base / self.server.api_keys_file.expanduser() if self.server.api_keys_file else None

    @property
    def index_dir(self) -> Path:
        """Where the index is kept, absolute."""
        return self._base / self.data_dir.expanduser()


def _folder_name(folder: object) -> str:
    name = Path(folder).name if isinstance(folder, str | Path) else ""
    if name in ("", ".."):
        raise ValueError(f"{folder!r} says no name; write it as `name: folder`")
    return name


class _FileConfig(Config):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_config(path: Path | str | None = None, *, environment: bool = True) -> Config:
    """Read `path`, or ./config.yaml if there is one, and the `environment` unless told otherwise.

    Raises:
        ConfigError: the file can't be read, or a key is unknown or has a wrong value.
    """
    file = Path(path) if path is not None else DEFAULT_FILE
    values: dict[str, Any] = {}
    if path is not None or file.exists():
        values = _read_yaml(file)
    try:
        config = (Config if environment else _FileConfig)(**values)
    except ValidationError as exc:
        raise ConfigError(f"{file if values else 'settings'}: {'; '.join(_problems(exc))}") from exc
    except SettingsError as exc:
        raise ConfigError(f"environment: {exc}; write {ENV_PREFIX}<GROUP>_<KEY>=value") from exc
    config._base = file.resolve().parent if values or path is not None else Path.cwd()
    config._file = file.resolve() if path is not None or file.exists() else None
    _reject_overlap(config, file if values else Path("settings"))
    return config


def _reject_overlap(config: Config, source: Path) -> None:
    """Raise ConfigError when one collection's folder lies in another's: its files would be read twice."""
    folders = [(name, folder.resolve()) for name, folder in config.corpus_folders.items()]
    for name, folder in folders:
        for other, outer in folders:
            if name != other and folder.is_relative_to(outer):
                place = "is the same folder as" if folder == outer else "lies inside"
                raise ConfigError(f"{source}: corpus: {name!r} {place} {other!r} ({outer}); leave one of them out")


def unknown_variables() -> list[str]:
    """Environment variables that look like settings but are none; the caller warns of them."""
    known = {f"{ENV_PREFIX}{name}" for name in _variable_names()}
    return sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name not in known)


def _variable_names() -> Iterator[str]:
    for name, field in Config.model_fields.items():
        yield name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}_{inner}".upper() for inner in field.annotation.model_fields)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror}; give an existing file with --config") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file}: is not UTF-8; save it as UTF-8") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"{file}: is not valid YAML: {' '.join(str(exc).split())}") from exc
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{file}: must hold `key: value` lines")
    return values


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        variable = f"{ENV_PREFIX}{where.replace('.', '_').upper()}"
        if problem["type"] == "extra_forbidden":
            parent = Config.model_fields.get(str(problem["loc"][0]))
            model = parent.annotation if parent and len(problem["loc"]) > 1 else Config
            names = list(getattr(model, "model_fields", {}))
            near = difflib.get_close_matches(str(problem["loc"][-1]), names, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
            yield f"unknown key {where!r}; {hint}"
        else:
            source = f" from {variable} in the environment" if variable in os.environ else ""
            message = problem["msg"].removeprefix("Value error, ")
            is_shown = not isinstance(problem["input"], dict) and problem["loc"][-1] not in _SECRETS
            got = f" (got {problem['input']!r}{source})" if is_shown else ""
            yield f"{where}: {message[0].lower()}{message[1:]}{got}"
