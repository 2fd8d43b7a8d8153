"""What can be set about the terminal by variables; the rest are options of `vtoc-bots chat`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TerminalSettings(BaseModel):
    """How the prompt behaves."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    history_lines: int = Field(
        1000,
        alias="VTOC_TERMINAL_HISTORY",
        ge=0,
        le=100_000,
        description="How many lines the prompt remembers between starts; 0 keeps them in memory only",
        json_schema_extra={"accepts": "a whole number, 0 to 100000"},
    )
    no_color: str = Field(
        "",
        alias="NO_COLOR",
        description="Anything but nothing: the prompt shows no colours",
        json_schema_extra={"accepts": "text"},
    )
