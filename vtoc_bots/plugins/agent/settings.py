"""What can be set about the agent by variables."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from vtoc_bots import HttpUrl


def _set(name: str, default: Any, accepts: str, about: str, **limits: Any) -> Any:
    return Field(default, alias=name, description=about, json_schema_extra={"accepts": accepts}, **limits)


class AgentSettings(BaseModel):
    """Which model answers, where it is reached, and how much one question may cost."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)

    api_key: SecretStr = _set(
        "OPENAI_API_KEY", SecretStr(""), "a key", "The key of the endpoint; any word where it wants none"
    )
    base_url: HttpUrl = _set(
        "OPENAI_BASE_URL",
        "https://api.openai.com/v1",
        "an address, https://…",
        "The endpoint that has /chat/completions",
    )
    model: str = _set("OPENAI_MODEL", "", "a name", "The model; unset, free text gets help instead")
    reply_seconds: float = _set(
        "VTOC_AGENT_REPLY_SECONDS", 60.0, "seconds, 1 to 300", "How long one reply of the model may take", ge=1, le=300
    )
    calls: int = _set("VTOC_AGENT_CALLS", 8, "a number, 1 to 50", "How many tools one question may call", ge=1, le=50)
    tokens: int = _set(
        "VTOC_AGENT_TOKENS", 40_000, "a number, 500 or more", "How many tokens one question may use", ge=500
    )
    seconds: float = _set(
        "VTOC_AGENT_SECONDS", 120.0, "seconds, 5 to 540", "How long one question may take", ge=5, le=540
    )
