"""Settings: which source wins, what is refused and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from vtoc_bots.core.environment import merged, secret_values
from vtoc_bots.core.errors import ConfigError, StartupError
from vtoc_bots.core.settings import Settings, documented_settings, load_settings


def load(tmp_path: Path, **variables: str) -> Settings:
    return load_settings(tmp_path, tmp_path / "data", variables, env_dir=tmp_path)


def refused(tmp_path: Path, **variables: str) -> str:
    with pytest.raises(StartupError) as caught:
        load(tmp_path, **variables)
    return str(caught.value)


def write(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")


def test_with_nothing_set_the_embedded_profile_starts_on_loopback_with_the_exercise(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.embedded
    assert settings.listen_host == "127.0.0.1"
    assert (settings.station.callsign, settings.station.slug, settings.station.role) == ("TOC-S1", "toc-s1", "ops")
    assert [(source.slug, source.type, source.enabled) for source in settings.sources] == [
        ("exercise", "exercise", True)
    ]


def test_a_database_ends_the_embedded_profile_and_listens_everywhere(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASE_URL="postgres://u:secret@db/x")
    assert not settings.embedded
    assert settings.listen_host == "0.0.0.0"
    assert load(tmp_path, DATABASE_URL="postgres://db/x", VTOC_API_HOST="127.0.0.1").listen_host == "127.0.0.1"


def test_the_first_that_has_a_variable_wins(tmp_path: Path) -> None:
    write(tmp_path, ".env.station", "API_PORT=2\nSTATION_CALLSIGN=TOC-S2\n")
    write(tmp_path, ".env.local", "API_PORT=3\nSTATION_CALLSIGN=TOC-S3\nVTOC_COMMANDS_PER_MINUTE=33\n")
    settings = load(tmp_path, API_PORT="1")
    assert (settings.api_port, settings.station.callsign, settings.commands_per_minute) == (1, "TOC-S2", 33)


def test_a_blank_variable_wins_and_counts_as_not_set(tmp_path: Path) -> None:
    write(tmp_path, ".env.station", "API_PORT=2\n")
    assert load(tmp_path, API_PORT=" ").api_port == 8080


def test_env_files_know_quotes_comments_export_and_expand_nothing(tmp_path: Path) -> None:
    write(
        tmp_path, ".env.local", "# ours\nexport CHATKIT_API_KEY='a $HOME #b'\n\nUNKNOWN=1\nCHATKIT_ORG_ID=org # mine\n"
    )
    settings = load(tmp_path)
    assert settings.chatkit_api_key == SecretStr("a $HOME #b")
    assert settings.chatkit_org_id == "org"


@pytest.mark.parametrize("text", ["A=1\n\nnot a setting\n", "A=1\n\nB='never closed\n", "A=1\n\nB\n"])
def test_a_line_of_an_env_file_that_is_no_setting_is_named_by_its_place(tmp_path: Path, text: str) -> None:
    write(tmp_path, ".env.local", text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert caught.value.where == f"{tmp_path / '.env.local'}:3"


def test_every_wrong_variable_is_named_at_once_with_what_it_accepts(tmp_path: Path) -> None:
    text = refused(tmp_path, API_PORT="abc", VTOC_LEASE_SECONDS="inf", VTOC_LOG_LEVEL="loud", POSTGRES_STATION_ROLE="x")
    assert "4 variables" in text
    assert "API_PORT 'abc' is not accepted; it takes a port, 0 to 65535" in text
    assert "VTOC_LEASE_SECONDS 'inf' is not accepted; it takes seconds, 0.1 or more" in text
    assert "VTOC_LOG_LEVEL 'loud' is not accepted; it takes debug, info, warning or error" in text
    assert "POSTGRES_STATION_ROLE 'x' is not accepted; it takes ops, intel or logistics" in text


def test_a_wrong_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    text = refused(tmp_path, DATABASE_URL="mysql://user:hunter22@db/x")
    assert "DATABASE_URL" in text
    assert "hunter22" not in text
    assert "postgresql://user:password@host:5432/name" in text


def test_supabase_db_url_wins_over_database_url(tmp_path: Path) -> None:
    both = {"SUPABASE_DB_URL": "postgres://s:supa@db/x", "DATABASE_URL": "postgres://d:data@db/x"}
    url = load(tmp_path, **both).database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://s:supa@db/x"
    assert "SUPABASE_DB_URL" in refused(tmp_path, **{**both, "SUPABASE_DB_URL": "nonsense"})


def test_an_sqlalchemy_url_is_taken_as_a_postgres_url(tmp_path: Path) -> None:
    url = load(tmp_path, DATABASE_URL="postgresql+asyncpg://u:p@db:6543/x?pgbouncer=true").database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://u:p@db:6543/x?pgbouncer=true"


def test_all_that_a_remote_chatkit_needs_is_named_at_once_with_where_to_get_it(tmp_path: Path) -> None:
    text = refused(tmp_path, CHATKIT_API_BASE_URL="https://chatkit.example")
    for name in ("CHATKIT_API_KEY", "CHATKIT_ORG_ID", "POSTGRES_STATION_ROLE", "STATION_CALLSIGN"):
        assert f"{name} is not set, but CHATKIT_API_BASE_URL is. " in text
    assert "4 variables" in text


def test_a_remote_agentkit_needs_a_client_or_a_key(tmp_path: Path) -> None:
    station = {"STATION_CALLSIGN": "TOC-S9", "POSTGRES_STATION_ROLE": "vtoc_intel"}
    text = refused(tmp_path, AGENTKIT_API_BASE_URL="https://agentkit.example", AGENTKIT_CLIENT_ID="c", **station)
    assert "AGENTKIT_CLIENT_SECRET" in text
    assert "AGENTKIT_CLIENT_ID is not" not in text
    settings = load(tmp_path, AGENTKIT_API_BASE_URL="https://agentkit.example/", AGENTKIT_API_KEY="key", **station)
    assert settings.agentkit_api_base_url == "https://agentkit.example"
    assert (settings.station.slug, settings.station.role) == ("toc-s9", "intel")
    assert not settings.embedded


@pytest.mark.parametrize(
    "name", ["DATABASE_DIRECT_URL", "DATABASE_ADMIN_URL", "DATABASE_URL_INTEL", "DATABASE_ADMIN_URL_OPS"]
)
def test_an_address_of_a_database_without_the_main_one_is_refused(tmp_path: Path, name: str) -> None:
    assert f"DATABASE_URL is not set, but {name} is" in refused(tmp_path, **{name: "postgres://db/x"})
    load(tmp_path, **{name: "postgres://db/x", "DATABASE_URL": "postgres://db/y"})
    assert f"{name} its value (not shown)" in refused(tmp_path, **{name: "x", "DATABASE_URL": "postgres://db/y"})


def test_a_callsign_that_makes_no_slug_is_refused(tmp_path: Path) -> None:
    assert "STATION_CALLSIGN 'TOC S1!' is not accepted" in refused(tmp_path, STATION_CALLSIGN="TOC S1!")


def test_settings_are_frozen_and_show_no_secret(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASE_URL="postgres://u:hunter22@db/x", CHATKIT_API_KEY="chatkit-key-1")
    with pytest.raises(ValueError, match="frozen"):
        settings.api_port = 1  # type: ignore[misc]  # the assignment is what is tested
    assert "hunter22" not in repr(settings)
    assert "chatkit-key-1" not in repr(settings)
    assert {"hunter22", "chatkit-key-1"} <= settings.secrets()


class SlackLike(BaseModel):
    model_config = ConfigDict(frozen=True)
    token: SecretStr = Field(alias="SLACK_BOT_TOKEN", json_schema_extra={"accepts": "a bot token, xoxb-…"})
    limit: int = Field(5, alias="SLACK_LIMIT", gt=0)


def test_a_plugin_reads_its_own_settings_from_the_same_variables(tmp_path: Path) -> None:
    write(tmp_path, ".env.local", "SLACK_BOT_TOKEN=xoxb-1-2\n")
    settings = load(tmp_path)
    assert settings.read(SlackLike).token.get_secret_value() == "xoxb-1-2"
    assert settings.missing("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET") == ("SLACK_SIGNING_SECRET",)
    assert "xoxb-1-2" in settings.secrets()


def test_a_plugins_wrong_and_missing_variables_are_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        load(tmp_path, SLACK_LIMIT="0").read(SlackLike)
    assert "SLACK_BOT_TOKEN is not set; it takes a bot token" in str(caught.value)
    assert "SLACK_LIMIT '0' is not accepted; Input should be greater than 0" in str(caught.value)


def test_every_setting_says_what_it_accepts_and_what_it_is_for() -> None:
    for setting in documented_settings():
        assert setting.accepts, setting.name
        assert setting.about, setting.name


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_merging_keeps_what_is_not_blank(variables: dict[str, str]) -> None:
    assert merged(variables, None) == {name: value for name, value in variables.items() if value.strip()}


def test_secret_values_are_those_named_like_secrets_and_passwords_in_urls() -> None:
    found = set(
        secret_values({"A_TOKEN": "abcdef1", "KEY": "short", "MONKEY": "bananas", "URL": "redis://u:p%40ssword@h/0"})
    )
    assert found == {"abcdef1", "p%40ssword", "p@ssword"}


def test_a_variable_named_like_a_field_is_no_setting(tmp_path: Path) -> None:
    assert load(tmp_path, config_dir="x", terminal="x", api_port="1").api_port == 8080
