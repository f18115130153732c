import pytest

from collector.errors import OriginError
from collector.model.accounts import Secret
from collector.secrets.addresses import is_loopback, mongodb_risk, mongodb_warnings, proxy_url, server_of


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://user:password@tokens.internal:8080/path?key=1", "http://tokens.internal:8080"),
        ("https://user@name:password@tokens.internal", "https://tokens.internal"),
        ("http://[2001:db8::7]:80/x", "http://[2001:db8::7]:80"),
    ],
)
def test_server_of(url: str, server: str) -> None:
    assert server_of(Secret(url)) == server


@pytest.mark.parametrize("url", ["http://egress:3128", "https://user:password@egress", "http://[2001:db8::7]:3128"])
def test_proxy_url(url: str) -> None:
    assert proxy_url(Secret(url)) == url


@pytest.mark.parametrize(
    "url", ["", "egress:3128", "socks5://egress:1080", "http://", "http://e:0", "http://e:99999", "http://[x"]
)
def test_malformed_proxy_url(url: str) -> None:
    with pytest.raises(OriginError) as failed:
        proxy_url(Secret(url))
    assert str(failed.value) == (
        "the proxy isn't an address of the right form: write it as http://USER:PASSWORD@HOST:3128"
    )


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("a.localhost", True), ("127.0.0.9", True), ("[::1]", True), ("localhost.test", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize(
    ("uri", "risky"),
    [
        ("mongodb://db.internal/?tlsInsecure=true", True),
        ("mongodb+srv://db.internal/?ssl=false", True),
        ("mongodb://db.internal/", False),
        ("mongodb://localhost:27017,127.0.0.1/?tlsInsecure=true", False),
        ("mongodb://user:p@ss@%2Ftmp%2Fmongodb.sock/?tlsInsecure=true", False),
    ],
)
def test_mongodb_risk(uri: str, risky: bool) -> None:
    assert (mongodb_risk(uri) is not None) is risky


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("mongodb://u:p@localhost/?replicaSet=rs0&W=majority", []),
        ("mongodb://h/?foo=1;bar=", ["`foo`", "`bar`"]),
        ("mongodb://h?foo=1", ["`foo`"]),
        ("mongodb://h/?s3cret=1", ["one word after the `?`"]),
    ],
)
def test_options_without_effect(uri: str, named: list[str]) -> None:
    """They are named, unless they may be a part of a password."""
    rest = "isn't an option of MongoDB's, and has no effect; correct it, or take it out"
    assert mongodb_warnings(uri) == [f"{name} {rest}" for name in named]


def test_all_warnings_of_a_mongodb_address() -> None:
    uri = "mongodb://db.internal/?tlsInsecure=true&tsl=true"
    risk, unknown = mongodb_warnings(uri)
    assert risk == mongodb_risk(uri)
    assert unknown.startswith("`tsl` isn't an option")
