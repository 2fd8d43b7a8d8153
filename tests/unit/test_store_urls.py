"""Connection URLs, what they imply, and the logins derived from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.errors import ConfigError
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls


def test_a_url_is_read_into_its_parts() -> None:
    url = DatabaseUrl.parse("postgres://us%40er:p%2Fw@db.example:5433/na%20me?sslmode=verify-full&pgbouncer=true")
    assert (url.user, url.password, url.hosts, url.database) == ("us@er", "p/w", "db.example:5433", "na me")
    assert DatabaseUrl.parse("postgresql+asyncpg://u@/d?host=/tmp/x").options["host"] == "/tmp/x"
    assert DatabaseUrl.parse("postgresql://u@h").database == "u"


@given(
    user=st.text(min_size=1, max_size=8),
    password=st.none() | st.text(max_size=8),
    database=st.text(min_size=1, max_size=8),
)
def test_a_url_survives_being_written_and_read(user: str, password: str | None, database: str) -> None:
    try:
        url = DatabaseUrl(user, password, "h:1", database)
        url.text.encode()
    except UnicodeEncodeError:
        return
    assert DatabaseUrl.parse(url.text) == url


@pytest.mark.parametrize("text", ["", "db.example/x", "mysql://u@h/d", "postgresql://h/d", "postgresql:///d"])
def test_what_is_no_postgres_url_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_DIRECT_URL") as caught:
        DatabaseUrl.parse(text, "DATABASE_DIRECT_URL")
    assert "mysql" not in str(caught.value)


def test_a_password_is_in_no_representation() -> None:
    url = DatabaseUrls.of("postgresql://u:s3cret@h/d")
    assert "s3cret" not in repr(url)
    assert "s3cret" not in url.main.address


@pytest.mark.parametrize(
    ("hosts", "loopback"),
    [
        ("localhost", True),
        ("localhost:5432", True),
        ("127.0.0.1:1", True),
        ("127.8.8.8", True),
        ("[::1]:5432", True),
        ("[::1]", True),
        ("", True),
        ("127.evil.example", False),
        ("localhost.evil.example:5432", False),
        ("10.0.0.1", False),
        ("[2001:db8::1]:5432", False),
        ("localhost,db.example", False),
    ],
)
def test_tls_is_required_of_any_host_that_is_not_this_machine(hosts: str, loopback: bool) -> None:
    url = DatabaseUrl.parse(f"postgresql://u@{hosts}/d")
    assert url.is_loopback is loopback
    assert ("sslmode=require" in url.dsn) is not loopback


def test_the_url_may_say_otherwise_about_tls() -> None:
    assert "sslmode=disable" in DatabaseUrl.parse("postgresql://u@db/d?sslmode=disable").dsn
    assert "sslmode=verify-full" in DatabaseUrl.parse("postgresql://u@db/d?sslmode=verify-full").dsn
    assert "sslmode" not in DatabaseUrl.parse("postgresql://u@/d?host=/run/postgresql").dsn
    assert "sslmode=require" in DatabaseUrl.parse("postgresql://u@/d?host=db.example").dsn


@pytest.mark.parametrize(
    ("text", "pooled"),
    [
        ("postgresql://u@h:6543/d", True),
        ("postgresql://u@h/d?pgbouncer=true", True),
        ("postgresql://u@h/d?port=6543", True),
        ("postgresql://u@h:5432/d", False),
        ("postgresql://u@h/d?pgbouncer=false", False),
    ],
)
def test_behind_a_transaction_pooler_no_statement_is_prepared(text: str, pooled: bool) -> None:
    url = DatabaseUrl.parse(text)
    assert url.is_pooled is pooled
    assert (url.connect_arguments().get("statement_cache_size") == 0) is pooled
    assert "pgbouncer" not in url.connect_arguments()["dsn"]


def test_a_role_logs_in_with_a_password_that_only_the_engines_gives() -> None:
    url = DatabaseUrl.parse("postgresql://vtoc_app.tenant:secret@h:6543/d")
    ops, intel = url.login("vtoc_ops"), url.login("vtoc_intel")
    assert (ops.user, intel.user) == ("vtoc_ops.tenant", "vtoc_intel.tenant")
    assert len({url.password, ops.password, intel.password}) == 3
    assert ops == url.login("vtoc_ops")
    assert DatabaseUrl.parse("postgresql://vtoc_app@h/d").login("vtoc_ops").password is None


def test_the_environment_names_the_databases_and_what_is_unsaid_follows() -> None:
    assert DatabaseUrls.from_environment({}) is None
    plain = DatabaseUrls.from_environment({"DATABASE_URL": "postgresql://a@h/d"})
    assert plain is not None
    assert plain.main == plain.direct == plain.admin
    urls = DatabaseUrls.from_environment(
        {
            "DATABASE_URL": "postgresql://unused@h/d",
            "SUPABASE_DB_URL": "postgresql://a:p@h:6543/d",
            "DATABASE_DIRECT_URL": "postgresql://a:p@h:5432/d",
            "DATABASE_URL_INTEL": "postgresql://b:q@other/vtoc_intel",
        }
    )
    assert urls is not None
    assert (urls.main.user, urls.direct.hosts, urls.admin) == ("a", "h:5432", urls.direct)
    assert urls.session("intel").hosts == "other"
    assert urls.session("ops").hosts == "h:6543"
    assert urls.role_admins["intel"] == urls.engine("intel") == urls.roles["intel"]
    assert {urls.session(role).user for role in ROLES} == {"vtoc_ops", "vtoc_intel", "vtoc_logistics"}


def test_a_roles_database_is_not_named_with_the_sessions_login() -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL_OPS logs in as vtoc_ops"):
        DatabaseUrls.of("postgresql://a@h/d", roles={"ops": "postgresql://vtoc_ops@h/d"})
