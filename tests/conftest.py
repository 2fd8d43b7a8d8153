"""Fixtures for every test, which of them also go through a pooler, and how long property tests search."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from structlog.dev import ConsoleRenderer, plain_traceback

from tests import pooler_kit
from tests.embedded_kit import remove_clusters_of
from vtoc_bots.core.store.urls import DatabaseUrls

pytest_plugins = ["vtoc_bots.testing.plugin"]

# A machine that is busy must not fail a test: no deadlines. The suite tries the same examples each time, so that what
# fails is what was changed; HYPOTHESIS_PROFILE=thorough looks for new ones, ten times longer.
settings.register_profile("suite", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# With every variable of every frame, as is usual in a console, one takes half a second in which the loop stands still.
ConsoleRenderer.get_active().exception_formatter = plain_traceback

POOLED = {
    "test_store_pool",
    "test_store_directory",
    "test_store_telemetry",
    "test_store_threads",
    "test_row_level_security",
    "test_engine_rows",
    "test_retention",
    "test_audit_chain",
}
"""Modules whose tests of a database are done twice: on the server, and through PgBouncer in transaction mode."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise the database of the tests in POOLED."""
    if "database_urls" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in POOLED:
        metafunc.parametrize("database_urls", ["direct", "pooled"], indirect=True)


@pytest.fixture(scope="session", autouse=True)
def no_cluster_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Root's clusters of temporary folders are elsewhere, and go with them; those of a session that was killed, too."""
    base = tmp_path_factory.getbasetemp()
    remove_clusters_of(base)
    yield
    remove_clusters_of(base)


@pytest.fixture(scope="session")
def pooler(postgres_urls: DatabaseUrls) -> Iterator[pooler_kit.Pooler]:
    """PgBouncer in front of the session's server."""
    if pooler_kit.program() is None:
        pytest.skip(pooler_kit.MISSING)
    with pooler_kit.running_pooler(postgres_urls) as running:
        yield running


@pytest.fixture
def database_urls(database_urls: DatabaseUrls, request: pytest.FixtureRequest) -> DatabaseUrls:
    """A migrated database of this test's own; "pooled" leads there through PgBouncer."""
    if getattr(request, "param", "direct") == "direct":
        return database_urls
    running: pooler_kit.Pooler = request.getfixturevalue("pooler")
    return running.urls(database_urls)
