"""The public API: all that a plugin may import. Names load on first use, so importing this package is cheap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtoc_bots.core import markup
    from vtoc_bots.core.access import Ask, Decision, Level, Operator, Station, Verdict
    from vtoc_bots.core.attachments import Attachments, check_size, downloaded, origin_of
    from vtoc_bots.core.cards import (
        Block,
        Button,
        Buttons,
        Card,
        Divider,
        Fields,
        File,
        Image,
        Pair,
        Plan,
        PlanStep,
        Progress,
        Severity,
        Table,
        Text,
    )
    from vtoc_bots.core.clients.answers import Busy, Declined, Service, Uncertain
    from vtoc_bots.core.clients.chatkit import ChatKitOrganisation, ChatKitServer
    from vtoc_bots.core.clients.http import ServiceHttp
    from vtoc_bots.core.commands.declare import command
    from vtoc_bots.core.commands.help import command_card, list_card, usage_line
    from vtoc_bots.core.commands.spec import CommandSpec
    from vtoc_bots.core.context import Context
    from vtoc_bots.core.elsewhere import Elsewhere
    from vtoc_bots.core.errands import Earlier, Errand, Looked, Proposal
    from vtoc_bots.core.errors import (
        ActionError,
        ConfigError,
        Forbidden,
        NotFound,
        NotSent,
        PluginError,
        RateLimited,
        Refused,
        SendError,
        StartupError,
        TransientError,
        Unknown,
        UsageError,
        VtocError,
    )
    from vtoc_bots.core.feeds.backoff import Backoff
    from vtoc_bots.core.feeds.capture import Capture, CaptureFeed, DecodesDocuments
    from vtoc_bots.core.feeds.counts import DecodeCounts
    from vtoc_bots.core.feeds.file import FilePoller
    from vtoc_bots.core.feeds.http import HttpPoller
    from vtoc_bots.core.feeds.live import LiveFeed, Reader
    from vtoc_bots.core.feeds.queue import ConflatingQueue
    from vtoc_bots.core.feeds.staleness import Thresholds, staleness
    from vtoc_bots.core.feeds.tcp import TcpReader
    from vtoc_bots.core.feeds.timing import TimeCheck, check_times
    from vtoc_bots.core.forms import Form, FormField
    from vtoc_bots.core.hookspecs import hookimpl
    from vtoc_bots.core.ids import new_id, parse_short_id, short_id
    from vtoc_bots.core.loader import PluginManifest
    from vtoc_bots.core.media_types import media_type
    from vtoc_bots.core.messages import (
        Attachment,
        ConversationId,
        Message,
        MessageKind,
        Outbound,
        OutboundKind,
        Receipt,
        Sender,
    )
    from vtoc_bots.core.playbooks.actions import action
    from vtoc_bots.core.playbooks.results import (
        BlobRef,
        EventSet,
        Picture,
        TrackSet,
        read_events,
        read_tracks,
        store_blob,
        store_events,
        store_tracks,
    )
    from vtoc_bots.core.ports import (
        ActionContext,
        ActionSpec,
        Agents,
        Blobs,
        Clock,
        Connector,
        ConnectorSpec,
        Decoder,
        Deputy,
        Observer,
        OpenContext,
        Policy,
        ProbeResult,
        Services,
        SourceCall,
        SourceState,
        TakesCalls,
        Telemetry,
        Tools,
        Verb,
    )
    from vtoc_bots.core.questions import Inquiry, PersonNeeded, Question
    from vtoc_bots.core.settings import HttpUrl, Settings
    from vtoc_bots.core.store.alerts import AlertRow
    from vtoc_bots.core.store.missions import LogEntry, Mission
    from vtoc_bots.core.store.run_views import RunView
    from vtoc_bots.core.store.threads import ThreadItem, ThreadRows, Viewer
    from vtoc_bots.core.telemetry import (
        EMERGENCIES,
        METRES_PER_FOOT,
        METRES_PER_NAUTICAL_MILE,
        MPS_PER_KNOT,
        Rejected,
        TelemetryEvent,
        bearing_deg,
        distance_m,
        feet,
        knots,
        nm,
    )
    from vtoc_bots.core.tools import Diagnosis, RemoteResult, ToolFile, ToolResult
    from vtoc_bots.core.tracks.merger import MergeSettings, TrackMerger
    from vtoc_bots.core.tracks.model import Track, TrackPoint, TrackSource
    from vtoc_bots.core.transports import (
        Accepted,
        Acknowledgement,
        Caller,
        Caps,
        Choices,
        Inbox,
        Invalid,
        LooksUpReceipts,
        OpenForm,
        PublishesCommands,
        ReportsHealth,
        ServesRoutes,
        TerminalOptions,
        Transport,
        TransportContext,
        TransportSpec,
    )
    from vtoc_bots.core.values import (
        AlertId,
        ApprovalId,
        CommandName,
        Distance,
        Duration,
        MissionCode,
        PlaybookId,
        Rest,
        RunId,
        StationSlug,
        TrackId,
    )
    from vtoc_bots.core.values.areas import Area, Box, Circle
    from vtoc_bots.core.values.positions import Position
    from vtoc_bots.core.web.bodies import read_body
    from vtoc_bots.core.web.problems import Refusal
    from vtoc_bots.core.web.signatures import check_signature

# Written out, because type checkers believe no other form; packed, because one name a line would be three pages.
# fmt: off
__all__ = [
    "EMERGENCIES", "METRES_PER_FOOT", "METRES_PER_NAUTICAL_MILE", "MPS_PER_KNOT", "Accepted", "Acknowledgement",
    "ActionContext", "ActionError", "ActionSpec", "Agents", "AlertId", "AlertRow", "ApprovalId", "Area", "Ask",
    "Attachment", "Attachments", "Backoff", "BlobRef", "Blobs", "Block", "Box", "Busy", "Button", "Buttons", "Caller",
    "Caps", "Capture", "CaptureFeed", "Card", "ChatKitOrganisation", "ChatKitServer", "Choices", "Circle", "Clock",
    "CommandName", "CommandSpec", "ConfigError", "ConflatingQueue", "Connector", "ConnectorSpec", "Context",
    "ConversationId", "Decision", "Declined", "DecodeCounts", "Decoder", "DecodesDocuments", "Deputy", "Diagnosis",
    "Distance", "Divider", "Duration", "Earlier", "Elsewhere", "Errand", "EventSet", "Fields", "File", "FilePoller",
    "Forbidden", "Form", "FormField", "HttpPoller", "HttpUrl", "Image", "Inbox", "Inquiry", "Invalid", "Level",
    "LiveFeed", "LogEntry", "Looked", "LooksUpReceipts", "MergeSettings", "Message", "MessageKind", "Mission",
    "MissionCode", "NotFound", "NotSent", "Observer", "OpenContext", "OpenForm", "Operator", "Outbound", "OutboundKind",
    "Pair", "PersonNeeded", "Picture", "Plan", "PlanStep", "PlaybookId", "PluginError", "PluginManifest", "Policy",
    "Position", "ProbeResult", "Progress", "Proposal", "PublishesCommands", "Question", "RateLimited", "Reader",
    "Receipt", "Refusal", "Refused", "Rejected", "RemoteResult", "ReportsHealth", "Rest", "RunId", "RunView",
    "SendError", "Sender", "ServesRoutes", "Service", "ServiceHttp", "Services", "Settings", "Severity", "SourceCall",
    "SourceState", "StartupError", "Station", "StationSlug", "Table", "TakesCalls", "TcpReader", "Telemetry",
    "TelemetryEvent", "TerminalOptions", "Text", "ThreadItem", "ThreadRows", "Thresholds", "TimeCheck", "ToolFile",
    "ToolResult", "Tools", "Track", "TrackId", "TrackMerger", "TrackPoint", "TrackSet", "TrackSource", "TransientError",
    "Transport", "TransportContext", "TransportSpec", "Uncertain", "Unknown", "UsageError", "Verb", "Verdict", "Viewer",
    "VtocError", "action", "bearing_deg", "check_signature", "check_size", "check_times", "command", "command_card",
    "distance_m", "downloaded", "feet", "hookimpl", "knots", "list_card", "markup", "media_type", "new_id", "nm",
    "origin_of", "parse_short_id", "read_body", "read_events", "read_tracks", "short_id", "staleness", "store_blob",
    "store_events", "store_tracks", "usage_line",
]
# fmt: on

_HOMES = {
    "access": "Ask Decision Level Operator Station Verdict",
    "attachments": "Attachments check_size downloaded origin_of",
    "cards": "Block Button Buttons Card Divider Fields File Image Pair Plan PlanStep Progress Severity Table Text",
    "elsewhere": "Elsewhere",
    "errands": "Earlier Errand Looked Proposal",
    "errors": (
        "ActionError ConfigError Forbidden NotFound NotSent PluginError RateLimited Refused SendError StartupError"
        " TransientError Unknown UsageError VtocError"
    ),
    "feeds.backoff": "Backoff",
    "feeds.capture": "Capture CaptureFeed DecodesDocuments",
    "feeds.counts": "DecodeCounts",
    "feeds.file": "FilePoller",
    "feeds.http": "HttpPoller",
    "feeds.live": "LiveFeed Reader",
    "feeds.queue": "ConflatingQueue",
    "feeds.staleness": "Thresholds staleness",
    "feeds.tcp": "TcpReader",
    "feeds.timing": "TimeCheck check_times",
    "clients.answers": "Busy Declined Service Uncertain",
    "clients.chatkit": "ChatKitOrganisation ChatKitServer",
    "clients.http": "ServiceHttp",
    "commands.declare": "command",
    "commands.help": "command_card list_card usage_line",
    "commands.spec": "CommandSpec",
    "context": "Context",
    "forms": "Form FormField",
    "hookspecs": "hookimpl",
    "ids": "new_id parse_short_id short_id",
    "loader": "PluginManifest",
    "playbooks.actions": "action",
    "playbooks.results": (
        "BlobRef EventSet Picture TrackSet read_events read_tracks store_blob store_events store_tracks"
    ),
    "messages": "Attachment ConversationId Message MessageKind Outbound OutboundKind Receipt Sender",
    "media_types": "media_type",
    "ports": (
        "ActionContext ActionSpec Agents Blobs Clock Connector ConnectorSpec Decoder Deputy Observer OpenContext"
        " Policy ProbeResult Services SourceCall SourceState TakesCalls Telemetry Tools Verb"
    ),
    "questions": "Inquiry PersonNeeded Question",
    "settings": "HttpUrl Settings",
    "store.alerts": "AlertRow",
    "store.missions": "LogEntry Mission",
    "store.run_views": "RunView",
    "store.threads": "ThreadItem ThreadRows Viewer",
    "telemetry": (
        "EMERGENCIES METRES_PER_FOOT METRES_PER_NAUTICAL_MILE MPS_PER_KNOT Rejected TelemetryEvent bearing_deg"
        " distance_m feet knots nm"
    ),
    "tools": "Diagnosis RemoteResult ToolFile ToolResult",
    "tracks.merger": "MergeSettings TrackMerger",
    "tracks.model": "Track TrackPoint TrackSource",
    "transports": (
        "Accepted Acknowledgement Caller Caps Choices Inbox Invalid LooksUpReceipts OpenForm PublishesCommands"
        " ReportsHealth ServesRoutes TerminalOptions Transport TransportContext TransportSpec"
    ),
    "values": "AlertId ApprovalId CommandName Distance Duration MissionCode PlaybookId Rest RunId StationSlug TrackId",
    "values.areas": "Area Box Circle",
    "values.positions": "Position",
    "web.bodies": "read_body",
    "web.problems": "Refusal",
    "web.signatures": "check_signature",
}
_HOME_OF = {name: f"vtoc_bots.core.{home}" for home, names in _HOMES.items() for name in names.split()}
_HOME_OF["markup"] = "vtoc_bots.core"  # a module, so that its Text, Code and Link are no names of this package

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"vtoc_bots has no public name {name!r}")
    value = (
        importlib.import_module(f"{home}.{name}") if name == "markup" else getattr(importlib.import_module(home), name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
