"""What can be set about Discord, by variables."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

API_BASE_URL: Final = "https://discord.com/api/v10"


def _url(*schemes: str) -> AfterValidator:
    def checked(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"not an address with {' or '.join(schemes)}")
        return value.rstrip("/")

    return AfterValidator(checked)


def _set(default: Any, accepts: str) -> dict[str, Any]:
    return {"default": default, "json_schema_extra": {"accepts": accepts}}


class DiscordSettings(BaseModel):
    """The application, where it is published, and how it is reached."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    bot_token: SecretStr = Field(
        alias="DISCORD_BOT_TOKEN",
        min_length=20,
        description="The bot's token",
        json_schema_extra={"accepts": "the token that the Developer Portal shows under Bot"},
    )
    app_id: str = Field(
        alias="DISCORD_APP_ID",
        pattern=r"^[0-9]{15,20}$",
        description="The application's id",
        json_schema_extra={"accepts": "15 to 20 digits"},
    )
    public_key: str | None = Field(
        alias="DISCORD_PUBLIC_KEY",
        pattern=r"^[0-9a-fA-F]{64}$",
        description="The application's public key. Set: interactions may come by HTTP",
        **_set(None, "64 hexadecimal digits"),
    )
    guild_id: str | None = Field(
        alias="DISCORD_GUILD_ID",
        pattern=r"^[0-9]{15,20}$",
        description="The one server that is served, beside direct messages. Unset: every server the bot is in",
        **_set(None, "15 to 20 digits"),
    )
    shard_count: int | None = Field(
        alias="DISCORD_SHARD_COUNT",
        ge=0,
        le=1024,
        description="Gateway connections. 0: none, interactions come by HTTP alone. Unset: as many as Discord advises",
        **_set(None, "a whole number, 0 to 1024"),
    )
    api_base_url: Annotated[str, _url("http", "https")] = Field(
        alias="DISCORD_API_BASE_URL",
        description="Where the REST API is",
        **_set(API_BASE_URL, "an address, https://… with /api/v10"),
    )
    gateway_url: Annotated[str, _url("ws", "wss")] | None = Field(
        alias="DISCORD_GATEWAY_URL",
        description="Where the gateway is, for new and resumed sessions. Unset: where Discord says",
        **_set(None, "an address, wss://…"),
    )
