"""The console script as people and scripts use it: what goes to stdout, to stderr, and the exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

import vtoc_bots
from vtoc_bots.core.store.urls import DatabaseUrls

PROGRAM = Path(sys.executable).with_name("vtoc-bots")
SBS = "MSG,3,1,1,A3E31A,1,2026/01/01,12:00:00.000,2026/01/01,12:00:00.000,,38000,,,43.5,1.4,,,0,0,0,0\r\n"
Done = subprocess.CompletedProcess[str]
WRONG = {
    "connectors.yml": ("sources:\n  roof:\n    type: adsb\n    enabled: perhaps\n", "connectors.yml:4"),
    "stations.yml": ("stations:\n  toc-s1:\n    role: chef\n", "stations.yml:3"),
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for data; where tests run as root, the database server's user passes through."""
    path = Path(tempfile.mkdtemp(prefix="vtoc-cli-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def call(folder: Path, *arguments: str, stdin: str = "", **variables: str) -> Done:
    """Run the console script in this folder, where there are no configuration files, with these variables only."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200", **variables}
    return subprocess.run(
        [PROGRAM, *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, text=True, timeout=120
    )


def succeeded(done: Done) -> str:
    """What it printed; nothing went wrong and nothing else was said."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(done: Done) -> str:
    """The one line that says what is wrong."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_help_shows_every_command_and_version_the_version(folder: Path) -> None:
    shown = succeeded(call(folder, "--help"))
    for name in ("run", "chat", "replay", "operator", "plugin", "audit", "db", "playbook"):
        assert f" {name} " in shown
    assert succeeded(call(folder, "--version")) == f"vtoc-bots {vtoc_bots.__version__}\n"


def test_a_command_that_there_is_not_is_refused(folder: Path) -> None:
    done = call(folder, "dance")
    assert done.returncode == 2
    assert "No such command 'dance'" in done.stderr


def test_plugin_list_shows_what_is_on_and_what_is_off_without_a_database(folder: Path) -> None:
    head, *rows = succeeded(call(folder, "plugin", "list", PLUGINS_DISABLED="ops")).splitlines()
    assert head.split() == ["plugin", "state", "version", "registers"]
    shown = {row.split()[0]: row for row in rows}
    assert "on " in shown["adsb"]
    assert shown["adsb"].endswith("connectors: adsb")
    assert shown["ops"].endswith("named in PLUGINS_DISABLED")
    assert not (folder / ".vtoc").exists()


@pytest.mark.parametrize("compressed", [False, True])
def test_replay_prints_events_on_stdout_and_counts_on_stderr(tmp_path: Path, compressed: bool) -> None:
    file = tmp_path / "tower.sbs"
    file.write_text(SBS + SBS.replace("43.5", "43.6"), encoding="ascii")
    if compressed:
        subprocess.run(["gzip", file], check=True, timeout=60)
        file = tmp_path / "tower.sbs.gz"
    done = call(tmp_path, "replay", str(file), "--type", "adsb", "--position", "43.63,1.37")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(event["entity_id"], event["latitude"]) for event in events] == [("a3e31a", 43.5), ("a3e31a", 43.6)]
    assert events[0]["callsign"] is None
    assert done.stderr == "records read 2, decoded 2, rejected 0\n"


@pytest.mark.parametrize("format", [None, "sbs", "beast", "avr", "aircraft", "jsonport", "v2", "opensky"])
def test_replay_counts_garbage_and_ends_well(tmp_path: Path, format: str | None) -> None:
    file = tmp_path / "garbage"
    file.write_bytes(bytes(range(256)) * 20 + b"\n" + SBS[:40].encode())
    done = call(tmp_path, "replay", str(file), "--type", "adsb", *(["--format", format] if format else []))
    assert done.returncode == 0
    assert "decoded 0" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.sbs", "--type", "adsb"), "can't read nowhere.sbs"),
        (("here.sbs", "--type", "radar"), "there are adsb, custom, exercise"),
        (("here.sbs", "--type", "exercise"), "nothing to replay"),
        (("here.sbs", "--type", "adsb", "--format", "morse"), "morse"),
        (("here.sbs", "--type", "adsb", "--position", "north"), "no position"),
    ],
)
def test_replay_refuses_what_it_cant_do(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "here.sbs").write_text(SBS, encoding="ascii")
    assert said in refused(call(tmp_path, "replay", *arguments))


def test_operators_are_added_invited_and_listed(folder: Path) -> None:
    data = ("--data", str(folder / "people"))
    added = succeeded(call(folder, "operator", "add", "Ada", "--level", "lead", "--station", "TOC-S1", *data))
    assert added.startswith("Ada is lead at toc-s1.\n")
    assert "Grace is operator at every station." in succeeded(call(folder, "operator", "add", "Grace", *data))
    invited = call(folder, "operator", "invite", "Ada", "--hours", "2", *data)
    assert invited.returncode == 0
    assert invited.stdout.startswith("/link ")
    assert len(invited.stdout.split()) == 2
    assert "Ada alone" in invited.stderr
    assert succeeded(call(folder, "operator", "list", *data)).splitlines() == [
        "Ada: lead at toc-s1; no account yet",
        "Grace: operator at *; no account yet",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "Ada"), "there is an operator Ada already"),
        (("add", "Eve", "--level", "queen"), "unknown level 'queen'"),
        (("add", "Eve", "--station", "nowhere"), "there is no station nowhere"),
        (("invite", "Nobody"), "there is no operator Nobody"),
    ],
)
def test_a_wrong_operator_is_refused(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    data = ("--data", str(folder / "people"))
    if not (folder / "people").exists():
        succeeded(call(folder, "operator", "add", "Ada", *data))
    assert said in refused(call(folder, "operator", *arguments, *data))


def test_the_audit_log_of_what_was_done_is_verified_and_exported(folder: Path) -> None:
    data = ("--data", str(folder / "audited"))
    asked = call(folder, "chat", *data, "--wait", "60", stdin="/whoami\n")
    assert asked.returncode == 0, asked.stderr
    assert "admin" in asked.stdout
    assert succeeded(call(folder, "audit", "verify", *data)).endswith("The chain holds.\n")
    rows = [json.loads(line) for line in succeeded(call(folder, "audit", "export", *data)).splitlines()]
    assert "command:whoami" in {row["subject"] for row in rows}


def test_the_first_question_to_a_fresh_installation_finds_the_exercise(folder: Path) -> None:
    arguments = ("chat", "--data", str(folder / "fresh"), "--out", str(folder / "out"), "--wait", "60")
    asked = call(folder, *arguments, stdin="/playbook op_airtrack_merge\n")
    assert asked.returncode == 0, asked.stderr
    assert "EXERCISE" in asked.stdout
    assert "Air tracks: 0" not in asked.stdout
    pictures = [Path(line.removeprefix("[image] ")) for line in asked.stdout.splitlines() if line.startswith("[image]")]
    assert [path.read_bytes()[:4] for path in pictures] == [b"\x89PNG"]


def test_the_schema_of_playbooks_is_json_and_the_shipped_playbook_is_in_order(folder: Path) -> None:
    schema = json.loads(succeeded(call(folder, "playbook", "schema")))
    assert {"id", "role", "steps"} <= set(schema["properties"])
    shipped = Path(vtoc_bots.__file__).parents[1] / "playbooks"
    assert "op_airtrack_merge" in succeeded(call(folder, "playbook", "check", str(shipped)))


def test_a_wrong_playbook_is_shown_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text("id: op_wrong\nrole: ops\ntitle: Wrong\nsteps:\n  - {id: a, uses: no.such_action}\n")
    done = call(tmp_path, "playbook", "check", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{file}:5" in done.stderr
    assert "no.such_action" in done.stderr


def test_upgrading_the_embedded_database_is_safe_to_repeat(folder: Path) -> None:
    for _ in range(2):
        done = call(folder, "db", "upgrade", "--data", str(folder / "upgraded"))
        assert succeeded(done) == "The database is up to date.\n"


def test_a_configured_database_is_used(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    where = {"DATABASE_URL": database_urls.main.text, "DATABASE_ADMIN_URL": database_urls.admin.text}
    assert succeeded(call(tmp_path, "db", "upgrade", **where)) == "The database is up to date.\n"
    assert "Ada is operator" in succeeded(call(tmp_path, "operator", "add", "Ada", **where))
    assert "Ada: operator" in succeeded(call(tmp_path, "operator", "list", **where))
    assert not (tmp_path / ".vtoc").exists()


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("arguments", ["run", "chat", "plugin list", "operator list", "audit verify", "db upgrade"])
def test_wrong_configuration_is_one_clear_line_before_anything_starts(
    tmp_path: Path, arguments: str, name: str
) -> None:
    text, where = WRONG[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert where in refused(call(tmp_path, *arguments.split(), "--config", str(tmp_path)))
    assert not (tmp_path / ".vtoc").exists()


def test_a_wrong_variable_is_named_and_a_database_that_is_not_there_too(tmp_path: Path) -> None:
    assert "API_PORT" in refused(call(tmp_path, "run", API_PORT="eighty"))
    nowhere = call(tmp_path, "operator", "list", DATABASE_URL="postgresql://vtoc_app:hunter22@127.0.0.1:1/vtoc")
    assert "127.0.0.1:1/vtoc" in refused(nowhere)
    assert "hunter22" not in nowhere.stderr


@pytest.fixture
def distribution(tmp_path: Path) -> Callable[[str, str], Mapping[str, str]]:
    """Makes a plugin of a name and its code; the variables with which the script finds it."""

    def made(name: str, code: str) -> Mapping[str, str]:
        folder = tmp_path / "site"
        info = folder / f"vtoc_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vtoc-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vtoc_bots.plugins]\n{name} = vtoc_{name}\n")
        (folder / f"vtoc_{name}.py").write_text(dedent(code))
        return {"PYTHONPATH": str(folder)}

    return made


GROUP = """
    import typer
    from vtoc_bots import PluginManifest

    app = typer.Typer(help="The pigeon loft.")

    @app.callback()
    def pigeon(): ...

    @app.command()
    def count():
        typer.echo("2 pigeons")

    manifest = PluginManifest(required_settings=("PIGEON_TOKEN",), cli=app)
"""


def test_a_plugins_own_commands_stand_under_its_name(
    tmp_path: Path, distribution: Callable[[str, str], Mapping[str, str]]
) -> None:
    variables = distribution("pigeon", GROUP)
    assert "The pigeon loft." in succeeded(call(tmp_path, "--help", **variables))
    assert succeeded(call(tmp_path, "pigeon", "count", **variables)) == "2 pigeons\n"
    assert "not set: PIGEON_TOKEN" in succeeded(call(tmp_path, "plugin", "list", **variables))
    off = call(tmp_path, "pigeon", "count", **variables, PLUGINS_DISABLED="pigeon")
    assert off.returncode == 2
    assert "No such command 'pigeon'" in off.stderr


def test_a_plugin_can_not_take_the_name_of_our_own_commands(
    tmp_path: Path, distribution: Callable[[str, str], Mapping[str, str]]
) -> None:
    variables = distribution("playbook", GROUP)
    assert succeeded(call(tmp_path, "playbook", "schema", **variables)).startswith("{")


@pytest.mark.parametrize("code", ["raise RuntimeError('out of cheese')", "raise SystemExit(0)"])
def test_a_plugin_that_can_not_be_imported_is_logged_beside_the_list_and_hides_nothing(
    tmp_path: Path, distribution: Callable[[str, str], Mapping[str, str]], code: str
) -> None:
    variables = distribution("pigeon", code)
    listed = call(tmp_path, "plugin", "list", **variables)
    assert listed.returncode == 0
    assert listed.stdout.splitlines()[0].startswith("plugin")
    assert "broken" in listed.stdout
    assert json.loads(listed.stderr)["event"] == "plugin_broken"
    assert "replay" in succeeded(call(tmp_path, "--help", **variables))
    assert "plugin pigeon can't be imported" in refused(call(tmp_path, "pigeon", "count", **variables))


def test_a_manifest_of_another_kind_is_refused(
    tmp_path: Path, distribution: Callable[[str, str], Mapping[str, str]]
) -> None:
    variables = distribution("pigeon", "from vtoc_bots import PluginManifest\nmanifest = PluginManifest(cli='x')\n")
    assert "must be a typer.Typer" in refused(call(tmp_path, "pigeon", **variables))


def test_a_token_is_shown_once_listed_without_it_and_revoked(folder: Path, database_url: str) -> None:
    made = call(folder, "token", "create", "dashboard", "--level", "lead", "--days", "2", DATABASE_URL=database_url)
    token = made.stdout.strip()
    assert (made.returncode, token[:5], len(token)) == (0, "vtoc_", 48)
    assert "lead at toc-s1" in made.stderr
    listed = succeeded(call(folder, "token", "list", DATABASE_URL=database_url))
    assert token not in listed
    assert "dashboard: lead at toc-s1; good until" in listed
    short = listed.split()[0]
    assert "is revoked" in succeeded(call(folder, "token", "revoke", short.lower(), DATABASE_URL=database_url))
    assert "revoked 2" in succeeded(call(folder, "token", "list", DATABASE_URL=database_url))
    assert "revoked before" in refused(call(folder, "token", "revoke", short, DATABASE_URL=database_url))
    assert "no token's id" in refused(call(folder, "token", "revoke", "x", DATABASE_URL=database_url))
    wrong = call(folder, "token", "create", "x", "--station", "toc-s9", DATABASE_URL=database_url)
    assert "no station toc-s9" in refused(wrong)
    exported = succeeded(call(folder, "audit", "export", DATABASE_URL=database_url))
    events = [json.loads(line)["event"] for line in exported.splitlines()]
    assert events == ["token.created", "token.revoked"]
    assert token not in exported
