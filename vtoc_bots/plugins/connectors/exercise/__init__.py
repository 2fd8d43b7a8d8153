"""Exercise: a scenario that makes air traffic and sends it in real wire formats through the real decoders."""

from __future__ import annotations

from vtoc_bots import ConnectorSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.connectors.exercise.connector import ExerciseConnector
from vtoc_bots.plugins.connectors.exercise.settings import ExerciseSettings

manifest = PluginManifest(summary="A simulated day of traffic, through the real decoders")


def connector_spec() -> ConnectorSpec:
    """The connector type. It has no byte stream of its own to replay."""
    return ConnectorSpec(
        type="exercise",
        settings=ExerciseSettings,
        open=ExerciseConnector,
        description="A simulated day: traffic, search and rescue, an emergency; marked EXERCISE everywhere",
    )


@hookimpl
def vtoc_connectors() -> tuple[ConnectorSpec, ...]:
    """Offers sources of type exercise."""
    return (connector_spec(),)
