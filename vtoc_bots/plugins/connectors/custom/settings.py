"""What can be set of a custom source: its entry in connectors.yml."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class CustomSettings(BaseModel):
    """A source of type custom."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    module: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="package.mod:callable, an asynchronous function"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Given to the function as they are")
    interval_seconds: float = Field(
        60.0, ge=0.1, description="How long after one collection the next begins, of a source that is online"
    )
