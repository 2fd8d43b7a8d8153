"""Where the databases are: connection URLs, their TLS and pooler rules, and the logins derived from them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from vtoc_bots.core.errors import ConfigError

ROLES: Final = ("ops", "intel", "logistics")
"""The station roles; each has a schema of its name and a database role ``vtoc_<role>``."""

_SCHEMES: Final = ("postgresql", "postgres")
# What the driver understands; anything else in a URL (pgbouncer=true, connection_limit=5 …) would be sent to the
# server as a setting it does not know.
_KEPT_OPTIONS: Final = frozenset(
    {
        *("host", "port", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "passfile", "service"),
        *("krbsrvname", "application_name", "options"),
    }
)
_POOLER_PORT: Final = "6543"


@dataclass(frozen=True)
class DatabaseUrl:
    """One database and the login to it, parsed from a ``postgresql://`` URL."""

    user: str
    password: str | None = field(repr=False)
    hosts: str
    """``host:port`` as in the URL, several with commas; empty for a unix socket given by ``host=`` in the options."""
    database: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @classmethod
    def parse(cls, text: str, name: str = "DATABASE_URL") -> DatabaseUrl:
        """Read a URL. Raises ConfigError that says which variable (`name`) is wrong and never repeats the URL."""
        scheme, separator, rest = text.strip().partition("://")
        if not separator or scheme.split("+")[0] not in _SCHEMES:
            raise ConfigError(
                f"{name} is not a Postgres URL. Write it as postgresql://user:password@host:5432/database"
            )
        rest, _, query = rest.partition("?")
        authority, _, path = rest.partition("/")
        userinfo, _, hosts = authority.rpartition("@")
        user, colon, password = userinfo.partition(":")
        if not user:
            raise ConfigError(f"{name} names no user. Write it as postgresql://user:password@host:5432/database")
        return cls(
            user=unquote(user),
            password=unquote(password) if colon else None,
            hosts=hosts,
            database=unquote(path) or unquote(user),
            options=MappingProxyType(dict(parse_qsl(query, keep_blank_values=True))),
        )

    @property
    def address(self) -> str:
        """Host and database for people: no user, no password."""
        return f"{self.hosts or self.options.get('host', 'localhost')}/{self.database}"

    @property
    def is_loopback(self) -> bool:
        """Whether every host is this machine (or a unix socket)."""
        hosts = self.hosts or self.options.get("host", "")
        return all(_is_loopback(unquote(host)) for host in hosts.split(","))

    @property
    def is_pooled(self) -> bool:
        """Whether a transaction pooler stands between: port 6543, or ``pgbouncer=true``."""
        ports = [host.rpartition(":")[2] for host in self.hosts.split(",")] + [self.options.get("port", "")]
        return _POOLER_PORT in ports or self.options.get("pgbouncer", "").lower() == "true"

    @property
    def dsn(self) -> str:
        """What the driver is given: TLS required for a host that is not this machine unless the URL says otherwise."""
        options = {key: value for key, value in self.options.items() if key in _KEPT_OPTIONS}
        if not self.is_loopback:
            options.setdefault("sslmode", "require")
        return self._spelled(options)

    @property
    def text(self) -> str:
        """The whole URL, password included: for another process or tool, never for a log."""
        return self._spelled(dict(self.options))

    def connect_arguments(self) -> dict[str, Any]:
        """Keyword arguments for the driver. Through a transaction pooler prepared statements can't be kept."""
        arguments: dict[str, Any] = {"dsn": self.dsn}
        if self.is_pooled:
            arguments["statement_cache_size"] = 0
        return arguments

    def login(self, user: str) -> DatabaseUrl:
        """The same database under the login `user`, whose password is derived from this URL's.

        The derivation (HMAC-SHA256 keyed with the password) lets whoever knows this URL set up and use the lesser
        logins without another secret to keep, and gives nothing of it away. A pooler's tenant, the part of the user
        name after a dot, is kept.
        """
        _, dot, tenant = self.user.partition(".")
        password = derived_password(self.password, user) if self.password is not None else None
        return replace(self, user=user + dot + tenant, password=password)

    def _spelled(self, options: Mapping[str, str]) -> str:
        password = "" if self.password is None else ":" + quote(self.password, safe="")
        query = f"?{urlencode(options)}" if options else ""
        user = quote(self.user, safe="")
        return f"postgresql://{user}{password}@{self.hosts}/{quote(self.database, safe='')}{query}"


@dataclass(frozen=True)
class DatabaseUrls:
    """Every database of an installation (contracts.md §8)."""

    main: DatabaseUrl
    """``DATABASE_URL``: the engine's login, perhaps through a pooler."""
    direct: DatabaseUrl
    """``DATABASE_DIRECT_URL``: the same database with no pooler between, for LISTEN."""
    admin: DatabaseUrl
    """``DATABASE_ADMIN_URL``: the login that migrates."""
    roles: Mapping[str, DatabaseUrl] = field(default_factory=lambda: MappingProxyType({}))
    """``DATABASE_URL_<ROLE>``: roles whose schema lives in a database of its own."""
    role_admins: Mapping[str, DatabaseUrl] = field(default_factory=lambda: MappingProxyType({}))
    """``DATABASE_ADMIN_URL_<ROLE>``: the logins that migrate those."""

    @classmethod
    def of(
        cls,
        main: str,
        *,
        direct: str | None = None,
        admin: str | None = None,
        roles: Mapping[str, str] | None = None,
        role_admins: Mapping[str, str] | None = None,
    ) -> DatabaseUrls:
        """From URLs as text. `direct` defaults to `main`, `admin` to `direct`, a role's admin to its URL.

        Raises ConfigError that names the variable.
        """
        url = DatabaseUrl.parse(main)
        direct_url = DatabaseUrl.parse(direct, "DATABASE_DIRECT_URL") if direct else url
        if direct_url.is_pooled:
            # LISTEN would hear nothing there, and migrations hold locks longer than a transaction.
            raise ConfigError(
                f"{'DATABASE_DIRECT_URL' if direct else 'DATABASE_URL'} leads through a transaction pooler. "
                f"Set DATABASE_DIRECT_URL to the same database past it (its own port, mostly 5432)"
            )
        own = {role: _role_url(role, text) for role, text in (roles or {}).items()}
        admins = {
            role: DatabaseUrl.parse(text, f"DATABASE_ADMIN_URL_{role.upper()}")
            for role, text in (role_admins or {}).items()
        }
        return cls(
            main=url,
            direct=direct_url,
            admin=DatabaseUrl.parse(admin, "DATABASE_ADMIN_URL") if admin else direct_url,
            roles=MappingProxyType(own),
            role_admins=MappingProxyType({role: admins.get(role, url) for role, url in own.items()}),
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> DatabaseUrls | None:
        """What the variables say; None where no database is named, which means the embedded one."""
        main = environment.get("SUPABASE_DB_URL") or environment.get("DATABASE_URL")
        if not main:
            return None
        return cls.of(
            main,
            direct=environment.get("DATABASE_DIRECT_URL"),
            admin=environment.get("DATABASE_ADMIN_URL"),
            roles=_per_role(environment, "DATABASE_URL_"),
            role_admins=_per_role(environment, "DATABASE_ADMIN_URL_"),
        )

    def engine(self, role: str | None = None) -> DatabaseUrl:
        """The engine's login to the main database, or to the one that holds the schema of `role`."""
        return self.roles.get(role, self.main) if role else self.main

    def admin_of(self, role: str | None = None) -> DatabaseUrl:
        """The login that migrates the main database, or the one that holds the schema of `role`."""
        if role is None or role not in self.roles:
            return self.admin
        return self.role_admins.get(role, self.roles[role])

    def session(self, role: str) -> DatabaseUrl:
        """The login of sessions of this role's stations. It owns no right but those on its role's schema."""
        return self.engine(role).login(role_login(role))


def role_login(role: str) -> str:
    """The database role (and login) of a station role."""
    return f"vtoc_{role}"


def derived_password(password: str, login: str) -> str:
    """The password of a lesser login, from the engine's: hex HMAC-SHA256."""
    return hmac.new(password.encode(), f"vtoc-bots login {login}".encode(), hashlib.sha256).hexdigest()


def _is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine: a socket's folder, localhost, 127.0.0.0/8 or ::1; no host is the default
    socket."""
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    name = name.strip("[]").lower()
    if not host or name in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _role_url(role: str, text: str) -> DatabaseUrl:
    name = f"DATABASE_URL_{role.upper()}"
    url = DatabaseUrl.parse(text, name)
    if url.user.partition(".")[0] == role_login(role):
        raise ConfigError(
            f"{name} logs in as {role_login(role)}, which is what a station's session uses. "
            f"Name the engine's login there (vtoc_app), as in DATABASE_URL"
        )
    return url


def _per_role(environment: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {role: value for role in ROLES if (value := environment.get(prefix + role.upper()))}
