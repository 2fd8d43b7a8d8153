"""The wheel holds what an installation needs, and works without the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs_kit import ROOT, relative


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the installed hatchling: nothing is fetched."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [path] = folder.glob("*.whl")
    return path


def test_the_wheel_holds_modules_data_playbooks_and_configuration(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "vtoc_bots/py.typed",
        "vtoc_bots/plugins/pictures/data/land.npz",
        "vtoc_bots/plugins/pictures/data/towns.npz",
        "vtoc_bots/plugins/connectors/exercise/default.yml",
        *(relative(path) for path in (ROOT / "vtoc_bots").rglob("*.py")),
        *(relative(path) for path in (ROOT / "vtoc_bots").rglob("*.sql")),
        *(relative(path) for path in (ROOT / "vtoc_bots").rglob("*.tmpl")),
        *(f"vtoc_bots/_packaged/{relative(path)}" for path in (ROOT / "playbooks").rglob("*.yml")),
        *(f"vtoc_bots/_packaged/{relative(path)}" for path in (ROOT / "config").iterdir()),
    }
    assert wanted - names == set()
    assert [name for name in names if name.startswith(("tests", "bench", "docs")) or "__pycache__" in name] == []


def test_an_unpacked_wheel_finds_its_plugins_and_playbooks(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "from pathlib import Path; import vtoc_bots; from vtoc_bots.core.installation import packaged_playbooks;"
        "from vtoc_bots.core.loader import installed, load; from vtoc_bots.core.settings import load_settings;"
        "from vtoc_bots.core.playbooks.load import load_playbooks;"
        "found = load(load_settings(Path('none'), Path('none'), {}), entries=[e for e in installed() if e.dist.name =="
        " 'vtoc-bots']);"
        "books, errors = load_playbooks(packaged_playbooks(), {a.name: a for a in found.actions});"
        "print(vtoc_bots.__file__, sorted(books), errors, [str(r.state) for r in found.reports])"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    assert "['op_airtrack_merge'] [] ['on'" in done.stdout
    assert "broken" not in done.stdout


def pins(name: str) -> dict[str, str]:
    """The versions of a requirements file, by package."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ \\\n]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_image_has_the_extras_mcp_and_chatkit_in_the_versions_that_are_tested() -> None:
    image, tested = pins("requirements-image.txt"), pins("requirements-dev.txt")
    assert {"mcp", "openai-chatkit", *pins("requirements.txt")} <= image.keys()
    assert {name: version for name, version in image.items() if tested.get(name) != version} == {}
    container = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements-image.txt" in container
    assert "!requirements-image.txt" in (ROOT / ".dockerignore").read_text().splitlines()
