"""Warnings about valid settings that are probably a mistake or a risk, each with file and line."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from collector.config.nodes import Node
from collector.config.variables import without_variables
from collector.config.yamlfile import Document
from collector.model.accounts import Account, TokenKind, app_secret_fault
from collector.model.days import FIRST_DAY
from collector.secrets.addresses import is_loopback, mongodb_warnings

_SECRETS = frozenset({"secret", "authorizer_refresh_token", "verify_ticket"})
_ADDRESSES = frozenset({"uri", "proxy", "url"})
_ROUTES = {"proxy", "url", "hosts"}
_HEADER = "a header"
_PLAIN_HEADERS = frozenset({"accept", "user-agent"})
_SHELL_VARIABLE = re.compile(r"\$[A-Za-z_]\w*", re.ASCII)
_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@")

MAX_PLACES = 5
"""Further places that one warning names."""


class _Text(NamedTuple):
    """One text of a file; `key` is `_HEADER` for the value of a header, and `filled` has the variables filled in."""

    document: Document
    line: int
    key: str
    text: str
    filled: str

    @property
    def where(self) -> str:
        return f"{self.document.path}:{self.line}"


def warnings(documents: Sequence[Document], accounts: Sequence[Account]) -> Iterator[str]:
    """Iterate over the warnings about `documents` and their `accounts`, which are in the same order."""
    texts = [text for document in documents for text in _texts(document)]
    yield from _readable_secrets(texts)
    yield from _writable_by_others(documents)
    yield from _unencrypted_routes(texts)
    yield from _mongodb_addresses(texts)
    yield from _early_days(texts)
    yield from _classic_tokens(documents, accounts)
    yield from _shell_variables(texts)
    yield from _malformed_secrets(texts)


def _texts(document: Document) -> Iterator[_Text]:
    for line, key, text, filled in _texts_below(Node(1, document.nodes), document.values, ""):
        yield _Text(document, line, key, text, filled)


def _texts_below(node: Node, filled: Any, key: str) -> Iterator[tuple[int, str, str, str]]:
    match node.value:
        case str(text):
            yield node.line, key, text, filled
        case list(items):
            for item, value in zip(items, filled, strict=True):
                yield from _texts_below(item, value, key)
        case entries:
            for name, entry in entries.items():
                # The user chooses the names of headers: one may equal a key.
                is_header = key == "headers" and name.lower() not in _PLAIN_HEADERS
                yield from _texts_below(entry, filled[name], _HEADER if is_header else name)


def _readable_secrets(texts: Iterable[_Text]) -> Iterator[str]:
    first: dict[Path, _Text] = {}
    for text in texts:
        # A group may read it: that is how deploy/ installs it.
        if text.document.mode & stat.S_IROTH and _is_literal(text.text, text.key):
            first.setdefault(text.document.path, text)
    remedy = f"run chmod o-r {_one_of(first)}"
    yield from _together(f"others can read this file and its secrets; {remedy}", first.values())


def _together(what: str, texts: Iterable[_Text]) -> Iterator[str]:
    """Warn once of the same at several places."""
    yield from _at_places(what, [text.where for text in texts])


def _at_places(what: str, places: Sequence[str]) -> Iterator[str]:
    if places:
        first, *others = places
        also = f"; likewise {', '.join(others[:MAX_PLACES])}" if others else ""
        more = f" and {len(others) - MAX_PLACES:,} more" if len(others) > MAX_PLACES else ""
        yield f"{first}: {what}{also}{more}"


def _is_literal(text: str, key: str) -> bool:
    if key in _SECRETS:
        return bool(without_variables(text))
    if key in _ADDRESSES:
        return bool(_PASSWORD.search(without_variables(text)))
    return key == _HEADER and without_variables(text) == text  # text beside a variable is a word such as Bearer


def _writable_by_others(documents: Sequence[Document]) -> Iterator[str]:
    # Windows reports every file as writable by all.
    can_tell = sys.platform != "win32"
    writable = [each.path for each in documents if can_tell and each.mode & stat.S_IWOTH]
    remedy = f"run chmod o-w {_one_of(writable)}"
    what = f"everybody can change this file, and with it what the collector runs; {remedy}"
    yield from _at_places(what, [*map(str, writable)])


def _one_of(paths: Collection[Path]) -> str:
    return str(*paths) if len(paths) == 1 else "on each"


def _unencrypted_routes(texts: Iterable[_Text]) -> Iterator[str]:
    """Warn of addresses on other machines without encryption or without its check, once for each server."""
    warned: set[str] = set()
    for text in texts:
        advice = _risk(text.key, text.filled) if text.key in _ROUTES else None
        if advice and advice not in warned:
            warned.add(advice)
            yield f"{text.where}: {advice}"


def _mongodb_addresses(texts: Iterable[_Text]) -> Iterator[str]:
    for text in texts:
        for trouble in mongodb_warnings(text.filled) if text.key == "uri" else ():
            yield f"{text.where}: in `uri` {trouble}"


def _risk(key: str, address: str) -> str | None:
    parts = urlsplit(address)
    # A proxy without a password sees encrypted traffic only, unless the host's own address is unencrypted too.
    if parts.scheme != "http" or is_loopback(parts.hostname or "") or (key == "proxy" and not parts.password):
        return None
    what, them = ("the password of `proxy` goes", "it") if key == "proxy" else ("secrets and tokens go", "them")
    server = f"http://{parts.netloc.rpartition('@')[2]}"
    return f"{what} unencrypted to {server}, so anyone on the way can read {them}; write https://"


def _early_days(texts: Iterable[_Text]) -> Iterator[str]:
    early = [text for text in texts if text.key == "since" and date.fromisoformat(text.filled) < FIRST_DAY]
    for since in dict.fromkeys(text.filled for text in early):
        what = f"`since` is {since}, but WeChat keeps nothing before {FIRST_DAY}; taken as that day"
        yield from _together(what, [text for text in early if text.filled == since])


def _classic_tokens(documents: Sequence[Document], accounts: Sequence[Account]) -> Iterator[str]:
    places = [(document, location) for document in documents for location, _ in document.mappings("accounts")]
    classic = [
        document.where((*location, "token"))
        for account, (document, location) in zip(accounts, places, strict=True)
        if account.enabled and account.token is TokenKind.CLASSIC
    ]
    if classic:
        count = "1 account fetches its" if len(classic) == 1 else f"{len(classic)} accounts fetch their"
        yield (
            f"{classic[0]}: {count} token by the classic call, which invalidates the token of any other "
            "system of the account; write `token: stable` unless that is wanted"
        )


def _shell_variables(texts: Iterable[_Text]) -> Iterator[str]:
    """Warn of `$ACME_SECRET`, which is taken literally here. It isn't repeated: it might be a real secret."""
    for key in sorted(_SECRETS):
        what = f"`{key}` is a $ and a word, taken literally; a variable is written ${{ACME_SECRET}}"
        yield from _together(what, [text for text in texts if text.key == key and _SHELL_VARIABLE.fullmatch(text.text)])


def _malformed_secrets(texts: Iterable[_Text]) -> Iterator[str]:
    """Warn of secrets that WeChat can't have given, such as a placeholder or a part of a secret."""
    secrets = (text for text in texts if text.key == "secret" and not _SHELL_VARIABLE.fullmatch(text.text))
    malformed = [text for text in secrets if app_secret_fault(text.filled)]
    if malformed:
        yield from _together(f"`secret` {app_secret_fault(malformed[0].filled)}", malformed)
