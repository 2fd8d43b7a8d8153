"""What the API and links to files are set by."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from vtoc_bots.core.settings import HttpUrl, Words

MIN_SECRET_CHARACTERS: Final = 16
MIN_JWT_SECRET_BYTES: Final = 32
"""RFC 7518 §3.2: an HS256 key is at least as long as the hash."""


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < MIN_JWT_SECRET_BYTES:
        raise ValueError("too short")
    return secret


def _not_short(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < MIN_SECRET_CHARACTERS:
        raise ValueError("too short")
    return secret


def _sendable(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("not for a header")
    return secret


def full_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers write them. ``*`` is none: who may use an API that takes credentials is named."""
    made = []
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or "*" in origin:
            raise ValueError(f"{origin} is no origin; write https://host or https://host:port, one for each")
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{origin} has more than an origin has; write https://host or https://host:port")
        is_usual = parts.port == {"http": 80, "https": 443}[parts.scheme]
        port = "" if parts.port is None or is_usual else f":{parts.port}"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        made.append(f"{parts.scheme}://{host}{port}")
    return tuple(made)


def _set(name: str, accepts: str, about: str, default: Any = None) -> Any:
    return Field(default, alias=name, description=about, json_schema_extra={"accepts": accepts})


class ApiSettings(BaseModel):
    """The variables of the API; `Settings.read` makes it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    supabase_url: HttpUrl | None = _set(
        "SUPABASE_URL", "an address, https://…", "The Supabase project whose signed-in users may call the API"
    )
    supabase_jwt_secret: Annotated[SecretStr, AfterValidator(_long_enough)] | None = _set(
        "SUPABASE_JWT_SECRET",
        "text of 32 bytes or more",
        "The project's shared secret of HS256 tokens. Unset: only keys published at SUPABASE_URL",
    )
    chatkit_webhook_secret: Annotated[SecretStr, AfterValidator(_not_short)] | None = _set(
        "CHATKIT_WEBHOOK_SECRET",
        "text of 16 characters or more",
        "What webhooks are signed with. Unset: CHATKIT_API_KEY; with neither every webhook is refused",
    )
    chatkit_api_key: SecretStr | None = Field(None, alias="CHATKIT_API_KEY", exclude=True)
    chatkit_allowed_tools: Words = _set(
        "CHATKIT_ALLOWED_TOOLS",
        "names, separated by commas or spaces",
        "The only playbooks and actions that agent actions may use. Unset: all that the caller may run",
        (),
    )

    cors_origins: Annotated[Words, AfterValidator(full_origins)] = _set(
        "VTOC_CORS_ORIGINS",
        "origins, https://host or https://host:port, separated by commas or spaces",
        "Web pages whose scripts may use /api/v1 and /chatkit from another origin. Unset: none",
        (),
    )

    @property
    def webhook_secret(self) -> str | None:
        """The secret of signed webhooks, None where none is set."""
        secret = self.chatkit_webhook_secret or self.chatkit_api_key
        return None if secret is None else secret.get_secret_value()


class StorageSettings(BaseModel):
    """The variables of Supabase Storage, which is used where both the address and the key are set."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: HttpUrl | None = Field(None, alias="SUPABASE_URL")
    key: Annotated[SecretStr, AfterValidator(_sendable)] | None = _set(
        "SUPABASE_SERVICE_ROLE_KEY",
        "text without spaces",
        "The project's service_role or secret key. With SUPABASE_URL: links to large files are its Storage's",
    )
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{2,62}$")] = _set(
        "SUPABASE_STORAGE_BUCKET",
        "3 to 63 of small letters, digits, - and _",
        "The private bucket for them, made where it is missing",
        "vtoc-files",
    )
