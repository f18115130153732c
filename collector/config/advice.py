"""Warnings about valid settings that are probably a mistake or a risk, each with file and line."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from collector.config.variables import without_variables
from collector.config.yamlfile import Document, Node
from collector.model.accounts import Account, TokenKind
from collector.model.days import FIRST_DAY
from collector.secrets.addresses import is_loopback, mongodb_warnings

_SECRETS = frozenset({"secret", "authorizer_refresh_token", "verify_ticket"})
_ADDRESSES = frozenset({"uri", "proxy", "url"})
_ROUTES = {"proxy", "url", "hosts"}
_HEADER = "a header"
_PLAIN_HEADERS = frozenset({"accept", "user-agent"})
_SHELL_VARIABLE = re.compile(r"\$[A-Za-z_]\w*", re.ASCII)
APP_SECRET_LENGTH = 32
_APP_SECRET = re.compile(f"[0-9A-Za-z]{{{APP_SECRET_LENGTH}}}")
_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@")

MAX_PLACES = 5
"""Further places that one warning names."""


def warnings(documents: Sequence[Document], accounts: Sequence[Account]) -> Iterator[str]:
    """Iterate over the warnings about `documents` and their `accounts`, which are in the same order."""
    yield from _readable_secrets(documents)
    yield from _writable_by_others(documents)
    yield from _unencrypted_routes(documents)
    yield from _mongodb_addresses(documents)
    yield from _early_days(documents)
    yield from _classic_tokens(documents, accounts)
    yield from _shell_variables(documents)
    yield from _malformed_secrets(documents)


def _readable_secrets(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        if not document.mode & stat.S_IROTH:  # a group may read it: that is how deploy/ installs it
            continue
        path, texts = document.path, _texts(document)
        line = next((line for line, key, text, _ in texts if _is_literal(text, key)), None)
        if line:
            yield f"{path}:{line}: others can read this file and its secrets; run chmod o-r {path}"


def _texts(document: Document) -> Iterator[tuple[int, str, str, str]]:
    """Iterate over line, key, text and filled-in text of every text in the file; the key of a header is `_HEADER`."""
    yield from _texts_below(Node(1, document.entries), document.values, "")


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


def _is_literal(text: str, key: str) -> bool:
    if key in _SECRETS:
        return bool(without_variables(text))
    if key in _ADDRESSES:
        return bool(_PASSWORD.search(without_variables(text)))
    return key == _HEADER and without_variables(text) == text  # text beside a variable is a word such as Bearer


def _writable_by_others(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        # Windows reports every file as writable by all.
        if document.mode & stat.S_IWOTH and sys.platform != "win32":
            path = document.path
            yield f"{path}: everybody can change this file, and with it what the collector runs; run chmod o-w {path}"


def _unencrypted_routes(documents: Sequence[Document]) -> Iterator[str]:
    """Warn of addresses on other machines without encryption or without its check, once for each server."""
    warned: set[str] = set()
    for document in documents:
        for line, key, _, address in _texts(document):
            advice = _risk(key, address) if key in _ROUTES else None
            if advice and advice not in warned:
                warned.add(advice)
                yield f"{document.path}:{line}: {advice}"


def _mongodb_addresses(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        for line, key, _, address in _texts(document):
            for trouble in mongodb_warnings(address) if key == "uri" else ():
                yield f"{document.path}:{line}: in `uri` {trouble}"


def _risk(key: str, address: str) -> str | None:
    parts = urlsplit(address)
    # A proxy without a password sees encrypted traffic only, unless the host's own address is unencrypted too.
    if parts.scheme != "http" or is_loopback(parts.hostname or "") or (key == "proxy" and not parts.password):
        return None
    what, them = ("the password of `proxy` goes", "it") if key == "proxy" else ("secrets and tokens go", "them")
    server = f"http://{parts.netloc.rpartition('@')[2]}"
    return f"{what} unencrypted to {server}, so anyone on the way can read {them}; write https://"


def _early_days(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        for line, key, _, since in _texts(document):
            if key == "since" and date.fromisoformat(since) < FIRST_DAY:
                where = f"{document.path}:{line}"
                yield f"{where}: `since` is {since}, but WeChat keeps nothing before {FIRST_DAY}; taken as that day"


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


def _shell_variables(documents: Sequence[Document]) -> Iterator[str]:
    """Warn of `$ACME_SECRET`, which is taken literally here. It isn't repeated: it might be a real secret."""
    for document in documents:
        for line, key, text, _ in _texts(document):
            if key in _SECRETS and _SHELL_VARIABLE.fullmatch(text):
                what = "is a $ and a word, taken literally; a variable is written ${ACME_SECRET}"
                yield f"{document.path}:{line}: `{key}` {what}"


def _malformed_secrets(documents: Sequence[Document]) -> Iterator[str]:
    """Warn once of secrets that WeChat can't have given, such as a placeholder or a part of a secret."""
    malformed = [
        (f"{document.path}:{line}", len(secret))
        for document in documents
        for line, key, text, secret in _texts(document)
        if key == "secret" and not _APP_SECRET.fullmatch(secret) and not _SHELL_VARIABLE.fullmatch(text)
    ]
    if malformed:
        (where, length), *others = malformed
        has = "it holds other characters" if length == APP_SECRET_LENGTH else f"it has {length}"
        also = f"; likewise {', '.join(place for place, _ in others[:MAX_PLACES])}" if others else ""
        more = f" and {len(others) - MAX_PLACES:,} more" if len(others) > MAX_PLACES else ""
        what = f"`secret` isn't an AppSecret of WeChat's, {APP_SECRET_LENGTH} digits and letters ({has})"
        yield f"{where}: {what}: copy the real one{also}{more}"
