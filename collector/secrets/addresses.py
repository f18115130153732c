"""URLs that may hold secrets: the part that may be shown, their form, and the risks of their options."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

from collector.errors import OriginError
from collector.model.accounts import Secret
from collector.text import printable

_UNCHECKED = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")
_ENCRYPTED = ("tls", "ssl")
_MONGODB = re.compile(r"mongodb(?:\+srv)?://(?:[^@/?]*@)?([^@/?]+)(?:[/?][^@]*)?")
_MAX_HOSTS = 200

_OPTION = re.compile(
    """
    appname | authmechanism(properties)? | authsource | compressors | (connect|socket|serverselection)timeoutms |
    connect | directconnection | enableoverloadretargeting | fsync | heartbeatfrequencyms | journal | loadbalanced |
    localthresholdms | maxadaptiveretries | maxconnecting | maxidletimems | (max|min)poolsize | maxstalenessseconds |
    readconcernlevel | readpreference(tags)? | replicaset | retry(reads|writes) | servermonitoringmode |
    srv(allowedhostssuffix|maxhosts|servicename) | ssl | timeoutms | tls | tlsallowinvalid(certificates|hostnames) |
    tls(cafile|crlfile|certificatekeyfile(password)?|disableocspendpointcheck|insecure) | uuidrepresentation | w |
    waitqueue(multiple|timeoutms) | wtimeoutms | zlibcompressionlevel
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""An option of a MongoDB URI that the driver knows."""


def is_loopback(host: str) -> bool:
    """Return True if `host`, a name or an IP, is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def server_of(url: Secret) -> str:
    """Return scheme, host and port of a URL, which may be shown; the rest may hold secrets."""
    parts = urlsplit(url.get_secret_value())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def proxy_url(proxy: Secret) -> str:
    """Return the URL of a proxy as aiohttp takes it. Raises `OriginError` when it isn't one."""
    address = proxy.get_secret_value()
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return address
    except ValueError:
        pass
    raise OriginError("the proxy isn't an address of the right form", "write it as http://USER:PASSWORD@HOST:3128")


def mongodb_warnings(uri: str) -> list[str]:
    """Return in words what a MongoDB URI gives up of TLS, and which of its options have no effect."""
    risk = mongodb_risk(uri)
    unknown = [name for name in _options(uri) if not _OPTION.fullmatch(name)]
    return [*([risk] if risk else []), *map(_without_effect, unknown)]


def mongodb_risk(uri: str) -> str | None:
    """Return in words what a MongoDB URI gives up of TLS on its way over a network; None where it is nothing.

    A `mongodb://` without a word about TLS has its usual form, and gives up nothing.
    """
    scheme, _, rest = uri.partition("://")
    places = rest.partition("?")[0].rpartition("@")[2]  # the password may hold any other separator
    if all(map(_is_here, places.partition("/")[0].split(","))):
        return None
    values = {name.lower(): value.lower() for name, value in _options(uri).items()}
    for name in _UNCHECKED:
        if values.get(name.lower()) == "true":
            return (
                f"`{name}` leaves MongoDB's certificate unchecked: whoever is on the way can pass for it, and read "
                "and change what is stored. Take it out; tlsCAFile names an authority of your own"
            )
    if scheme == "mongodb+srv" and any(values.get(name) == "false" for name in _ENCRYPTED):
        return "TLS is switched off: whoever is on the way to MongoDB can read and change what is stored. Take that out"
    return None


def _options(uri: str) -> dict[str, str]:
    return dict(parse_qsl(uri.partition("?")[2].replace(";", "&"), keep_blank_values=True))


def _without_effect(name: str) -> str:
    # Anything but a plain word may be a part of a password.
    shown = f"`{name}`" if re.fullmatch("[A-Za-z]{1,40}", name) else "one word after the `?`"
    return f"{shown} isn't an option of MongoDB's, and has no effect; correct it, or take it out"


def mongodb_hosts(uri: str) -> str | None:
    """Return the hosts in a MongoDB URI, which may be shown, without the usual port; a socket by its path.

    None where an unencoded `@` leaves open what is a host and what a part of the password.
    """
    parts = _MONGODB.fullmatch(uri)
    hosts = [unquote(host).removesuffix(":27017") for host in parts[1].split(",")] if parts else []
    return printable(", ".join(hosts), _MAX_HOSTS) or None


def _is_here(place: str) -> bool:
    """Return True if one of the hosts in a MongoDB URI is a socket or a port of this machine."""
    host = unquote(place)
    name, _, port = host.rpartition(":")
    return host.startswith("/") or is_loopback(name if name and port.isdecimal() else host)
