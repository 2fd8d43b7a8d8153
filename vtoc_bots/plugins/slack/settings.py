"""What can be set about Slack by variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _words(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _api_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an HTTP URL")
    return value.rstrip("/") + "/"


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


def _set(name: str, default: Any, accepts: str, about: str) -> Any:
    return Field(default, alias=name, description=about, json_schema_extra={"accepts": accepts})


class SlackSettings(BaseModel):
    """How Slack is reached, and which of its channels are monitored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    bot_token: SecretStr | None = _set("SLACK_BOT_TOKEN", None, "a token, xoxb-…", "The bot's token")
    app_token: SecretStr | None = _set(
        "SLACK_APP_LEVEL_TOKEN", None, "a token, xapp-…", "Set: events come through Socket Mode"
    )
    signing_secret: SecretStr | None = _set(
        "SLACK_SIGNING_SECRET", None, "text", "Set: events come by HTTP, to /slack/events"
    )
    api_base_url: Annotated[str, AfterValidator(_api_url)] = _set(
        "SLACK_API_BASE_URL", "https://slack.com/api/", "an address, https://…", "Slack's Web API, or a proxy to it"
    )
    monitored_channels: Words = _set(
        "MONITORED_CHANNELS",
        (),
        "channel ids (C…) or names, separated by commas or spaces",
        "Channels whose messages, reactions and thread replies become telemetry",
    )
    redacts: Words = _set(
        "VTOC_SLACK_REDACT",
        (),
        "email, phone or both",
        "What is redacted in monitored channels besides card numbers and keys",
    )
    detectors_file: Path | None = _set(
        "VTOC_SLACK_DETECTORS", None, "a YAML file", "Detectors of signals, instead of those that come with the plugin"
    )
