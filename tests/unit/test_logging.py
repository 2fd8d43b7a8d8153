"""Logging: one JSON line an event, from structlog and the standard library, to a stream or a rotated file."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from vtoc_bots.core.observe.logging import Logs, configure_logging, get_logger, log_context, log_path


class Output(io.StringIO):
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def logs(output: Output) -> Iterator[Logs]:
    logs = configure_logging(stream=output, secrets=["hunter22"])
    yield logs
    logs.close()


def test_an_event_is_one_json_line_with_time_level_and_name_first(logs: Logs, output: Output) -> None:
    get_logger(plugin="telegram").info("message_handled", seconds=0.5, nested={"a": [1]})
    (line,) = output.lines()
    assert list(line) == ["timestamp", "level", "event", "plugin", "seconds", "nested"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["nested"]) == ("info", "message_handled", {"a": [1]})


def test_a_logger_made_for_a_module_names_it(logs: Logs, output: Output) -> None:
    structlog.get_logger("vtoc_bots.core.inbox").info("message_accepted")
    assert output.lines()[0]["logger"] == "vtoc_bots.core.inbox"


def test_a_registered_secret_is_in_no_line_nor_traceback(logs: Logs, output: Output) -> None:
    log = get_logger()
    logs.redactor.add("learned-later")
    try:
        raise ConnectionError("postgresql://app:p4ssw0rd@db refused hunter22 and learned-later")
    except ConnectionError as error:
        log.exception("database_lost", error=error, learned="learned-later")
        logging.getLogger("asyncpg").exception("lost %s", "hunter22")
    first, second = output.lines()
    assert "ConnectionError: postgresql://app:***@db refused *** and ***" in first["exception"]
    assert second["message"] == "lost ***"
    for secret in ("hunter22", "p4ssw0rd", "learned-later"):
        assert secret not in output.getvalue()


def test_lines_below_the_level_are_not_written(output: Output) -> None:
    logs = configure_logging(stream=output, level="warning")
    try:
        get_logger().info("quiet")
        get_logger().warning("loud")
    finally:
        logs.close()
    assert [line["event"] for line in output.lines()] == ["loud"]


def test_the_standard_library_is_routed_from_warning_on(logs: Logs, output: Output) -> None:
    logging.getLogger("aiohttp").info("chatter")
    logging.getLogger("aiohttp").warning("slow %s", "client")
    (line,) = output.lines()
    assert (line["event"], line["logger"], line["message"], line["level"]) == (
        "library_logged",
        "aiohttp",
        "slow client",
        "warning",
    )


def test_python_warnings_are_routed(logs: Logs, output: Output) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", UserWarning, stacklevel=1)
    assert "old thing" in output.lines()[0]["message"]


def test_a_librarys_wrong_format_is_written_all_the_same(logs: Logs, output: Output) -> None:
    # Handed to our own handler alone: pytest's raises on such a record.
    (ours,) = [handler for handler in logging.getLogger().handlers if type(handler).__module__.startswith("vtoc_bots")]
    ours.handle(logging.makeLogRecord({"msg": "%d apples", "args": ("many",)}))
    assert "%d apples (TypeError" in output.lines()[0]["message"]


async def test_context_follows_a_task_and_ends_with_it(logs: Logs, output: Output) -> None:
    async def handle(correlation_id: str) -> None:
        with log_context(correlation_id=correlation_id):
            await asyncio.sleep(0)
            get_logger().info("step_ended")
            logging.getLogger("lib").warning("x")

    await asyncio.gather(handle("one"), handle("two"))
    get_logger().info("idle")
    lines = output.lines()
    assert sorted(line["correlation_id"] for line in lines if line["event"] == "step_ended") == ["one", "two"]
    assert sorted(line["correlation_id"] for line in lines if line["event"] == "library_logged") == ["one", "two"]
    assert "correlation_id" not in lines[-1]


def test_a_file_is_rotated_by_size_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = log_path(tmp_path)
    logs = configure_logging(file=path, max_bytes=2_000, kept_files=2)
    try:
        for number in range(60):
            get_logger().info("counted", number=number, filler="x" * 40)
    finally:
        logs.close()
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["vtoc-bots.log", "vtoc-bots.log.1", "vtoc-bots.log.2"]
    assert all(file.stat().st_size <= 2_000 for file in path.parent.iterdir())
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())
    numbers = [
        json.loads(line)["number"] for name in reversed(names) for line in (path.parent / name).read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 60))


def test_a_log_that_can_not_be_written_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Output()
    logs = configure_logging(stream=stream)
    stream.close()
    try:
        get_logger().error("lost")
        logging.getLogger("lib").error("lost too")
    finally:
        logs.close()
    assert capsys.readouterr() == ("", "")


def test_a_modules_logger_follows_the_configuration_of_the_day(output: Output) -> None:
    log = get_logger()
    for _ in range(2):
        stream = Output()
        logs = configure_logging(stream=stream)
        log.info("message_handled")
        logs.close()
        assert len(stream.lines()) == 1


def test_closing_gives_logging_back(output: Output) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("vtoc_bots").level)
    configure_logging(stream=output, level="debug").close()
    assert (root.level, list(root.handlers), logging.getLogger("vtoc_bots").level) == before
    assert not structlog.is_configured()
