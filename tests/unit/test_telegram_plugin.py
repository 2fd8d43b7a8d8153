"""The Telegram plugin: off without a token, cheap to load, and careful with what it is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from vtoc_bots.core.loader import PluginState, load
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins import telegram
from vtoc_bots.plugins.telegram.settings import TelegramSettings

TOKEN = "77001:AAstrictServerTokenForTests0123456789"


def report_of(folder: Path, **environ: str) -> tuple[PluginState, str]:
    loaded = load(load_settings(folder, folder, environ=environ), extra={"telegram": telegram}, entries=())
    [report] = loaded.reports
    return report.state, report.reason


def test_it_is_off_until_its_token_is_set(tmp_path: Path) -> None:
    assert report_of(tmp_path) == (PluginState.LACKS_SETTINGS, "not set: TELEGRAM_BOT_TOKEN")
    assert report_of(tmp_path, TELEGRAM_BOT_TOKEN=TOKEN) == (PluginState.ON, "")


def test_the_account_is_the_bots_id_and_a_strange_token_stops_nothing_else(tmp_path: Path) -> None:
    for token, account in ((TOKEN, "77001"), ("nonsense", "unknown")):
        settings = load_settings(tmp_path, tmp_path, environ={"TELEGRAM_BOT_TOKEN": token})
        [spec] = telegram.vtoc_transports(settings)
        assert (spec.name, spec.account) == ("telegram", account)


def test_loading_it_does_not_load_the_sdk() -> None:
    code = "import sys, vtoc_bots.plugins.telegram; print([n for n in ('telegram', 'httpx') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("url", ["ftp://x", "api.telegram.org", "http://"])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        TelegramSettings.model_validate({"TELEGRAM_API_BASE_URL": url})


def test_its_secrets_are_not_shown() -> None:
    settings = TelegramSettings.model_validate({"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_WEBHOOK_SECRET": "hush"})
    assert TOKEN not in repr(settings)
    assert "hush" not in repr(settings)
