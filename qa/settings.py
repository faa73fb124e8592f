"""The groups of settings in config.yaml, each with its keys, defaults and bounds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from index.encoder import BUNDLED


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


class RerankerConfig(BaseModel):
    """Which cross-encoder puts the best passages in order; none when empty."""

    model_config = ConfigDict(extra="forbid")
    model: str = ""


class ServerConfig(BaseModel):
    """Where `qa serve` listens."""

    model_config = ConfigDict(extra="forbid")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
