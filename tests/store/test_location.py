"""Which database a command works on, and its name in results."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config.schema import MongoSettings
from collector.errors import ConfigError, DatabaseError
from collector.model.accounts import FromFile, Secret
from collector.secrets.addresses import mongodb_hosts
from collector.store.location import Location, default_data_dir, location_of


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("mongodb://mongodb.internal", "wechat on mongodb.internal"),
        ("mongodb://user:pa%40ss@mongodb.internal:27017/?authSource=admin", "wechat on mongodb.internal"),
        ("mongodb://a.internal,b.internal:27018/admin?replicaSet=rs", "wechat on a.internal, b.internal:27018"),
        ("mongodb+srv://user:s3cret@cluster0.mongodb.net", "wechat on cluster0.mongodb.net"),
        ("mongodb://[::1]:27017/", "wechat on [::1]"),
        ("mongodb://%2Ftmp%2Fmongod.sock", "wechat on /tmp/mongod.sock"),
        # PyMongo refuses these, or takes a part of the password for the host.
        ("mongodb://user:s3/cret@mongodb.internal/", "wechat on the server of mongodb.uri"),
        ("mongodb://user:s3?cret@mongodb.internal/", "wechat on the server of mongodb.uri"),
        ("s3cret", "wechat on the server of mongodb.uri"),
    ],
)
def test_name_of_a_mongodb(uri: str, named: str) -> None:
    assert str(Location("wechat", Secret(uri))) == named


@given(st.text("ab1:/?@%", max_size=12))
def test_password_is_never_shown(password: str) -> None:
    shown = mongodb_hosts(f"mongodb://user:{password}@db.internal/") or ""
    assert shown in {"", "db.internal"}


def test_name_of_a_local_database() -> None:
    """A database of another name is another one, though in the same folder."""
    folder = Path("/var/lib/collector")
    named = [str(Location(name, data_dir=folder)) for name in ("wechat", "figures")]
    assert named == ["local, /var/lib/collector", "local, /var/lib/collector, database figures"]


async def test_data_dir_comes_first() -> None:
    settings, environ = MongoSettings(data_dir=Path("/srv/figures")), {"STATE_DIRECTORY": "/var/lib/collector"}
    assert await location_of(settings, environ) == Location("wechat", data_dir=Path("/srv/figures"))
    assert await location_of(MongoSettings(), environ) == Location("wechat", data_dir=Path("/var/lib/collector"))


async def test_uri_comes_before_data_dir() -> None:
    settings = MongoSettings(uri=Secret("mongodb://db"), data_dir=Path("/srv/figures"))
    assert await location_of(settings) == Location("wechat", Secret("mongodb://db"))


async def test_uri_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "uri"
    path.touch(mode=0o600)
    path.write_text("mongodb://user:s3cret@mongodb.internal/\n")
    there, missing = (MongoSettings().model_copy(update={"uri": FromFile(each)}) for each in (path, tmp_path / "none"))
    assert str(await location_of(there)) == "wechat on mongodb.internal"
    with pytest.raises(ConfigError, match=r"mongodb\.uri"):
        await location_of(missing)


def test_default_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir({}) == tmp_path / "collector"
    assert default_data_dir({"STATE_DIRECTORY": f"{tmp_path}/state:/other"}) == tmp_path / "state"


def test_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_: str) -> Path:
        raise RuntimeError

    monkeypatch.setattr("platformdirs.user_data_path", no_home)
    with pytest.raises(DatabaseError, match=r"name a folder in `mongodb\.data_dir`"):
        default_data_dir({})
