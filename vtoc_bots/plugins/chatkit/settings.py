"""What can be set about ChatKit: the organisation, its key, and the secret of its webhooks."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

OWN: Final = "own"
"""The account of conversations that live here."""


class ChatKitSettings(BaseModel):
    """The organisation; every variable is also core's, and described there."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    api_base_url: str | None = Field(None, alias="CHATKIT_API_BASE_URL", exclude=True)
    api_key: SecretStr | None = Field(None, alias="CHATKIT_API_KEY", exclude=True)
    org_id: str | None = Field(None, alias="CHATKIT_ORG_ID", exclude=True)
    webhook_secret: SecretStr | None = Field(None, alias="CHATKIT_WEBHOOK_SECRET", exclude=True)

    @property
    def secret(self) -> str | None:
        """What webhooks are signed with; None where every one is refused."""
        secret = self.webhook_secret or self.api_key
        return secret.get_secret_value() if secret else None
