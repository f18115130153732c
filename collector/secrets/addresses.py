"""What an address gives away: whether it leads off this machine, and whether its MongoDB is checked. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote

_UNCHECKED = {
    "tlsinsecure": "tlsInsecure",
    "tlsallowinvalidcertificates": "tlsAllowInvalidCertificates",
    "tlsallowinvalidhostnames": "tlsAllowInvalidHostnames",
}
_ENCRYPTED = ("tls", "ssl")


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an IP, is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def mongodb_risk(uri: str) -> str | None:
    """What a MongoDB's address gives up of TLS on its way over a network, in words; None where it is nothing.

    That a `mongodb://` says nothing of TLS is its usual form, and nothing that it gives up.
    """
    scheme, _, rest = uri.partition("://")
    places, _, options = rest.partition("?")
    places = places.rpartition("@")[2]
    if all(map(_is_here, places.partition("/")[0].split(","))):
        return None
    values = {name.lower(): value.lower() for name, value in parse_qsl(options.replace(";", "&"))}
    for name, shown in _UNCHECKED.items():
        if values.get(name) == "true":
            return (
                f"`{shown}` leaves MongoDB's certificate unchecked: whoever is on the way can pass for it, and read "
                "and change what is stored. Take it out; tlsCAFile names an authority of your own"
            )
    if scheme == "mongodb+srv" and any(values.get(name) == "false" for name in _ENCRYPTED):
        return "TLS is switched off: whoever is on the way to MongoDB can read and change what is stored. Take that out"
    return None


def _is_here(place: str) -> bool:
    """Whether one of the places of a MongoDB is a socket of this machine or a port of it."""
    host = unquote(place)
    name, _, port = host.rpartition(":")
    return host.startswith("/") or is_loopback(name if name and port.isdecimal() else host)
