"""The groups of settings in config.yaml, each with its keys, defaults and bounds."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import NoDecode

from index.encoder import BUNDLED
from qa.configuration.keys import FORM, ApiKey, parse_keys

_ORIGIN = r"^https?://[^/\s]+$"
_RATE = re.compile("[1-9][0-9]{0,5}/(?:second|minute|hour|day)")

Origin = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[^/\s]+$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$")]


class EncoderConfig(BaseModel):
    """Which model turns text into vectors."""

    model_config = ConfigDict(extra="forbid")
    model: str = Field(default=BUNDLED, min_length=1)
    base_url: str | None = Field(default=None, pattern="^https?://[^/]")
    api_key: SecretStr | None = None
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    batch_size: int | None = Field(default=None, ge=1, le=4096)
    device: str | None = Field(default=None, min_length=1)
    query_prompt: str | None = None
    document_prompt: str | None = None
    trust_remote_code: bool = False

    @field_validator("base_url", "api_key", "device", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        """So that a variable can undo what the file says."""
        return None if value == "" else value

    @model_validator(mode="after")
    def _check_named(self) -> EncoderConfig:
        if self.base_url and self.model == BUNDLED:
            raise ValueError(f"base_url is set, but model is {BUNDLED!r}; name the model that the endpoint serves")
        return self


class TrashConfig(BaseModel):
    """How long, and how much of, what was deleted or replaced over HTTP is kept."""

    model_config = ConfigDict(extra="forbid")
    max_days: float = Field(default=30.0, ge=0, le=36_500)
    max_mb: int = Field(default=1000, ge=0, le=10_000_000)


class RerankerConfig(BaseModel):
    """Which cross-encoder puts the best passages in order; none when empty."""

    model_config = ConfigDict(extra="forbid")
    model: str = ""


class LlmConfig(BaseModel):
    """Which language model writes answers; none while `model` is empty."""

    model_config = ConfigDict(extra="forbid")
    model: str = ""
    base_url: str | None = Field(default=None, pattern="^https?://[^/]")
    api_key: SecretStr | None = None
    passages: int = Field(default=8, ge=1, le=50)
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    idle_timeout_s: float = Field(default=20.0, gt=0, le=3600)
    max_tokens: int | None = Field(default=1000, ge=1)
    temperature: float | None = Field(default=0.0, ge=0, le=2)

    @field_validator("base_url", "api_key", "max_tokens", "temperature", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        """So that a variable can undo what the file says."""
        return None if value == "" else value

    @field_validator("base_url")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        try:
            _ = urlsplit(value or "").port
        except ValueError as exc:
            raise ValueError(f"is no address: {exc}") from exc
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> LlmConfig:
        if self.model and not self.base_url:
            raise ValueError("model is set, but base_url is not; name the endpoint, as in http://127.0.0.1:8080/v1")
        if self.base_url and not self.model:
            raise ValueError("base_url is set, but model is not; name the model that the endpoint serves")
        return self


class MilvusConfig(BaseModel):
    """Which Milvus server keeps the index where `store` is `milvus`."""

    model_config = ConfigDict(extra="forbid")
    uri: str = Field(default="http://127.0.0.1:19530", pattern=r"^https?://[^/\s]+$")
    token: SecretStr | None = None
    database: str = Field(default="", max_length=255)
    collection_prefix: str = Field(default="cited_qa", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    vector_index: Literal["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "DISKANN"] = "AUTOINDEX"
    shards: int = Field(default=1, ge=1, le=64)
    replicas: int = Field(default=1, ge=1, le=64)
    timeout_s: float = Field(default=30.0, gt=0, le=3600)

    @field_validator("token", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        """So that a variable can undo what the file says."""
        return None if value == "" else value


class ServerConfig(BaseModel):
    """Where `qa serve` listens, and whom it answers."""

    model_config = ConfigDict(extra="forbid")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: Annotated[str, Field(pattern=r"^https?://[^/\s]")] | None = None
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode] = ()
    api_keys_file: Path | None = None
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode] = ()
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    max_upload_mb: int = Field(default=100, ge=1, le=10_000)
    rate_limit: str = ""
    max_concurrent: int = Field(default=32, ge=1, le=1000)
    max_queued: int = Field(default=128, ge=0, le=100_000)
    max_connections: int = Field(default=512, ge=1, le=100_000)
    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    read_timeout_s: float = Field(default=15.0, gt=0, le=3600)
    grace_s: int = Field(default=10, ge=0, le=3600)
    workers: int = Field(default=1, ge=1, le=64)
    log_format: Literal["text", "json"] | None = None
    log_questions: bool = False
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]")] | None = None

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        if value:
            from limits import parse_many  # only a server with a limit has a use for it

            try:
                parse_many(value)
            except ValueError as exc:
                raise ValueError("write it as in 600/minute, or 10/second;600/minute") from exc
        return value

    @field_validator("public_url", "api_keys_file", "log_format", "otlp_endpoint", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: object) -> object:
        """So that a variable can undo what the file says."""
        return None if value == "" else value

    @field_validator("allowed_hosts", "cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _listed(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError as exc:
                raise ValueError(f"{entry!r} is no address and no network; write 127.0.0.1 or 10.0.0.0/8") from exc
        return value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        """Accept a list of `name:role:KEY`, and the same separated by commas."""
        entries = _listed(value)
        if not isinstance(entries, list | tuple):
            raise ValueError(f"must be a list of {FORM}")
        if any(isinstance(entry, ApiKey) for entry in entries):
            return entries
        if not all(isinstance(entry, str) for entry in entries):
            raise ValueError(f"must be a list of {FORM}, without spaces and in quotes if need be")
        return parse_keys(entries)


def _listed(value: object) -> object:
    """A list from `a,b`, as the environment gives it, and an empty one from nothing."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [] if value is None else value


class BotsConfig(BaseModel):
    """What all chat bots keep to."""

    model_config = ConfigDict(extra="forbid")
    rate_limit: str | None = "20/minute"
    workers: int = Field(default=2, ge=1, le=64)
    max_waiting: int = Field(default=100, ge=1, le=100_000)
    turns: int = Field(default=6, ge=0, le=100)
    forget_after_s: float = Field(default=1800, gt=0)

    @field_validator("rate_limit", mode="before")
    @classmethod
    def _check_limit(cls, value: object) -> object:
        if value in ("", None):
            return None
        if not isinstance(value, str) or not _RATE.fullmatch(value):
            raise ValueError("write it as in 20/minute or 300/hour, or leave it empty for no limit")
        return value


class BotConfig(BaseModel):
    """One chat tool's bot. `needed` are the keys that it can't do without."""

    model_config = ConfigDict(extra="forbid")
    needed: ClassVar[tuple[str, ...]]

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_default(cls, value: object, info: ValidationInfo) -> object:
        """So that a variable can undo what the file says."""
        return cls.model_fields[str(info.field_name)].default if value == "" else value

    def missing(self) -> list[str]:
        """The needed keys that are not set."""
        return [key for key in self.needed if getattr(self, key) is None]

    def revealed(self, key: str) -> str:
        """A secret as text; empty when it is not set."""
        secret: SecretStr | None = getattr(self, key)
        return secret.get_secret_value() if secret else ""


class DingtalkConfig(BotConfig):
    """An app's robot in stream mode (钉钉)."""

    needed = ("client_id", "client_secret")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    base_url: str = Field(default="https://api.dingtalk.com", pattern=_ORIGIN)


class FeishuConfig(BotConfig):
    """An app's bot (飞书, Lark), by a long connection or by calls to `host` and `port`."""

    needed = ("app_id", "app_secret")
    app_id: str | None = None
    app_secret: SecretStr | None = None
    mode: Literal["websocket", "callback"] = "websocket"
    verification_token: SecretStr | None = None
    encrypt_key: SecretStr | None = None
    base_url: str = Field(default="https://open.feishu.cn", pattern=_ORIGIN)
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8001, ge=0, le=65535)

    def missing(self) -> list[str]:
        """As for any bot; calls from outside must moreover be proved to be the vendor's."""
        proofs = ("verification_token", "encrypt_key") if self.mode == "callback" else ()
        return super().missing() + [key for key in proofs if getattr(self, key) is None]


class WecomConfig(BotConfig):
    """An intelligent robot by a long connection (企业微信智能机器人)."""

    needed = ("bot_id", "secret")
    bot_id: str | None = None
    secret: SecretStr | None = None
    url: str = Field(default="wss://openws.work.weixin.qq.com", pattern="^wss://[^/]")


class SlackConfig(BotConfig):
    """An app in socket mode."""

    needed = ("bot_token", "app_token")
    bot_token: SecretStr | None = None
    app_token: SecretStr | None = None
    base_url: str = Field(default="https://slack.com/api/", pattern="^https?://[^/].*/$")
