"""What can be set of an exercise source: its entry in connectors.yml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from vtoc_bots import Position
from vtoc_bots.plugins.connectors.exercise.scenario import RECEIVERS, Receiver


class ExerciseSettings(BaseModel):
    """A source of type exercise. Everything has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scenario: Path | None = Field(None, description="A scenario file; default the built-in one")
    position: Position | None = Field(
        None, description="Where it is played: default the station's, else the scenario's"
    )
    seed: int | None = Field(None, description="Another draw of the background traffic")
    play: tuple[Receiver, ...] = Field(RECEIVERS, min_length=1, description="Formats to play, a source each")
    interval_seconds: float = Field(1.0, ge=0.1, le=60, description="How often every receiver reports")
