"""What can be set about Telegram: the bot's token, the webhook's secret and where the Bot API is."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

_TOKEN: Final = re.compile(r"(\d{1,20}):[\w-]{10,}", re.ASCII)
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")


class TelegramSettings(BaseModel):
    """One bot."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    token: SecretStr = Field(
        SecretStr(""),
        alias="TELEGRAM_BOT_TOKEN",
        description="The bot's token, from @BotFather",
        json_schema_extra={"accepts": "text"},
    )
    webhook_secret: SecretStr | None = Field(
        None,
        alias="TELEGRAM_WEBHOOK_SECRET",
        description="With VTOC_PUBLIC_URL: Telegram calls us, and shows this secret. Unset: we poll",
        json_schema_extra={"accepts": "1 to 256 letters, digits, - and _"},
    )
    api_base_url: str = Field(
        "https://api.telegram.org",
        alias="TELEGRAM_API_BASE_URL",
        description="Where the Bot API is: a self-hosted server's address, or the default",
        json_schema_extra={"accepts": "an address, https://…"},
    )

    @field_validator("api_base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an HTTP URL")
        return value.rstrip("/")

    @property
    def bot_id(self) -> str | None:
        """The bot's id, which stands before the colon of its token; None where the token has not that form."""
        found = _TOKEN.fullmatch(self.token.get_secret_value().strip())
        return found[1] if found else None

    @property
    def secret(self) -> str | None:
        """The webhook's secret, None where there is none."""
        return self.webhook_secret.get_secret_value() if self.webhook_secret else None

    @property
    def secret_is_wellformed(self) -> bool:
        """Whether Telegram would take the secret."""
        return self.secret is None or _SECRET.fullmatch(self.secret) is not None
