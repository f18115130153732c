"""Which database a command works on, and how its results name it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import platformdirs
import structlog

from collector.errors import ConfigError, DatabaseError, Fault, OriginError
from collector.model.accounts import Origin, Secret
from collector.secrets.addresses import mongodb_hosts, mongodb_warnings
from collector.secrets.reader import Secrets

DEFAULT_DATABASE = "wechat"

log = structlog.get_logger()


class MongodbSettings(Protocol):
    """The section `mongodb` of the configuration."""

    @property
    def uri(self) -> Origin | None:
        """The address of a MongoDB, or where it is; None for a local mongod."""

    @property
    def database(self) -> str:
        """The name of the database."""

    @property
    def data_dir(self) -> Path | None:
        """The folder of the local mongod; None for the default."""


@dataclass(frozen=True, slots=True)
class Location:
    """A database on the MongoDB at `uri` or, without that, on the local mongod of `data_dir`.

    Its text is how results name it: `wechat on mongodb.internal`, `local, /var/lib/collector`.
    """

    database: str
    uri: Secret | None = None
    data_dir: Path = Path()

    def __str__(self) -> str:
        if self.uri:
            return f"{self.database} on {mongodb_hosts(self.uri.get_secret_value()) or 'the server of mongodb.uri'}"
        other = "" if self.database == DEFAULT_DATABASE else f", database {self.database}"
        return f"local, {self.data_dir}{other}"


async def location_of(mongodb: MongodbSettings, environ: Mapping[str, str] = os.environ) -> Location:
    """Return the database that the configuration means, its address read from wherever that is.

    Raises `ConfigError` where the address can't be read, `DatabaseError` where a local mongod has no folder.
    """
    if mongodb.uri is None:
        return Location(mongodb.database, data_dir=mongodb.data_dir or default_data_dir(environ))
    try:
        uri = await Secrets().read(mongodb.uri)
    except OriginError as error:
        raise ConfigError((Fault("mongodb.uri", error.errmsg, error.remedy),)) from None
    # An address written in the configuration was checked as that was loaded.
    for risk in mongodb_warnings(uri.get_secret_value()) if uri is not mongodb.uri else ():
        log.warning("mongodb.uri", risk=risk)
    return Location(mongodb.database, uri)


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the default folder of the local mongod: systemd's `$STATE_DIRECTORY`, else the user's data directory."""
    if state := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(state)
    try:
        return platformdirs.user_data_path("collector")
    except RuntimeError:
        raise DatabaseError(
            "this user has no home directory for a local database: name a folder in `mongodb.data_dir`"
        ) from None
