"""One JSON line an event, without secrets, to stderr or a rotated file, from structlog and the standard library."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, TextIO, cast

import orjson
import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger

from vtoc_bots.core.observe.redaction import Redactor

MAX_FILE_BYTES: Final = 10_000_000
KEPT_FILES: Final = 5
LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_OWN: Final = "vtoc_bots"


def get_logger(**bound: Any) -> FilteringBoundLogger:
    """A logger, whose methods take a fixed ``snake_case`` event and its fields: ``log.info("run_ended", run_id=…)``."""
    return cast(FilteringBoundLogger, structlog.get_logger(**bound))


def log_context(**fields: Any) -> AbstractContextManager[None]:
    """Within it, every line of this task and the tasks it starts carries these fields (``correlation_id=…``)."""
    return bound_contextvars(**fields)


def log_path(data_dir: Path) -> Path:
    """Where the log is written when the terminal belongs to a prompt."""
    return data_dir / "log" / "vtoc-bots.log"


class Logs:
    """The logging of this process while it is open; `redactor` learns of further secrets. `close` undoes it."""

    def __init__(self, handler: logging.Handler, redactor: Redactor, level: str) -> None:
        self.redactor = redactor
        self._handler = handler
        self._routed = _RoutedHandler(self)
        self._root_level = logging.getLogger().level
        self._own_level = logging.getLogger(_OWN).level
        structlog.configure(
            processors=[
                merge_contextvars,
                _named,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                self._rendered,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
            logger_factory=lambda *name: _Writer(self, *name),
            cache_logger_on_first_use=False,
        )
        root = logging.getLogger()
        root.addHandler(self._routed)
        # Libraries are heard from warning on; at debug level, everything they say.
        root.setLevel(logging.DEBUG if level == "debug" else max(logging.WARNING, LEVELS[level]))
        logging.getLogger(_OWN).setLevel(LEVELS[level])
        logging.captureWarnings(True)

    def close(self) -> None:
        """Hand logging back as it was found and close the file."""
        logging.captureWarnings(False)
        root = logging.getLogger()
        root.removeHandler(self._routed)
        root.setLevel(self._root_level)
        logging.getLogger(_OWN).setLevel(self._own_level)
        structlog.reset_defaults()
        self._handler.close()

    def render(self, event: Mapping[str, Any]) -> str:
        """An event as its line: time, level and event first, everything redacted."""
        redacted = self.redactor.mapping(event)
        line = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": redacted.pop("level", "info"),
            "event": redacted.pop("event", ""),
            **redacted,
        }
        return orjson.dumps(line).decode()

    def write(self, line: str) -> None:
        """Write one line; a full disk or closed terminal loses it and nothing else."""
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def _rendered(self, _: Any, __: str, event: MutableMapping[str, Any]) -> str:
        return self.render(event)


class _Writer:
    """What structlog's loggers end in: every method writes the rendered line."""

    def __init__(self, logs: Logs, name: str = "") -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.msg = logs.write


def _named(writer: Any, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the module a logger was made for: ``structlog.get_logger(__name__)``."""
    if isinstance(writer, _Writer) and writer.name:
        event.setdefault("logger", writer.name)
    return event


class _RoutedHandler(logging.Handler):
    """Turns what the standard library's loggers say into events named ``library_logged``."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        event = {
            **get_contextvars(),
            "event": "library_logged",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = "".join(traceback.format_exception(*record.exc_info))
        self._logs.write(self._logs.render(event))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # a library's format string and its arguments do not fit
        return f"{record.msg} ({type(error).__name__}: {error})"


class _Quiet(logging.Handler):
    """A handler whose own failure is nobody's: logging must not end the work it tells of."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: there is nowhere left to say it."""


class _QuietStream(_Quiet, logging.StreamHandler[TextIO]):
    pass


class _QuietFile(_Quiet, logging.handlers.RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        # A rotated file is created again here; it too is for its owner only.
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(descriptor, "a", encoding="utf-8")


def configure_logging(
    *,
    level: str = "info",
    secrets: Iterable[str] = (),
    file: Path | None = None,
    stream: TextIO | None = None,
    max_bytes: int = MAX_FILE_BYTES,
    kept_files: int = KEPT_FILES,
) -> Logs:
    """Send this process's logging to `file` (rotated at `max_bytes`, readable by its owner only) or to `stream`.

    The stream is stderr by default. A process does this once; `Logs.close` undoes it.
    """
    handler: logging.Handler
    if file is None:
        handler = _QuietStream(stream or sys.stderr)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _QuietFile(file, maxBytes=max_bytes, backupCount=kept_files, encoding="utf-8", delay=True)
    return Logs(handler, Redactor(secrets), level)
