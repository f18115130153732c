"""What a configuration may say, but had better not: one sentence each, with file and line."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from collector.config.schema import AccountsFile, ConfigFile
from collector.config.variables import without_variables
from collector.config.yamlfile import Document, Location, Node
from collector.model.accounts import Account, TokenKind
from collector.model.days import FIRST_DAY
from collector.secrets.addresses import is_loopback, mongodb_risk

File = tuple[Document, AccountsFile]

_SECRETS = frozenset({"secret", "authorizer_refresh_token", "verify_ticket"})
_ADDRESSES = frozenset({"uri", "proxy", "url"})
_WAYS = _ADDRESSES | {"hosts"}
_HEADER = "a header"
_PLAIN_HEADERS = frozenset({"accept", "user-agent"})
_NAME = re.compile(r"\$[A-Za-z_]\w*", re.ASCII)
_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@")


def on(files: Sequence[File], accounts: Sequence[Account]) -> Iterator[str]:
    """Warnings on `files` and the `accounts` that they gave, in the same order."""
    yield from _readable_secrets(files)
    yield from _changeable(files)
    yield from _open_ways(files)
    yield from _early_days(files)
    yield from _classic_tokens(files, accounts)
    yield from _names_for_secrets(files)


def _readable_secrets(files: Sequence[File]) -> Iterator[str]:
    for document, _ in files:
        if not document.mode & stat.S_IROTH:
            continue
        path, texts = document.path, _texts(Node(1, document.entries), "")
        line = next((line for line, key, text in texts if _is_literal(text, key)), None)
        if line:
            yield f"{path}:{line}: others can read this file and its secrets; run chmod o-r {path}"


def _texts(node: Node, key: str) -> Iterator[tuple[int, str, str]]:
    """Line, key and text of all that is written at `node`, to which `key` leads; headers have `_HEADER` for a key."""
    match node.value:
        case str(text):
            yield node.line, key, text
        case list(items):
            for item in items:
                yield from _texts(item, "")
        case entries:
            for name, entry in entries.items():
                is_header = key == "headers" and name.lower() not in _PLAIN_HEADERS
                yield from _texts(entry, _HEADER if is_header else name)


def _is_literal(text: str, key: str) -> bool:
    if key in _SECRETS:
        return bool(without_variables(text))
    if key in _ADDRESSES:
        return bool(_PASSWORD.search(without_variables(text)))
    return key == _HEADER and without_variables(text) == text  # beside a variable stands a word such as Bearer


def _changeable(files: Sequence[File]) -> Iterator[str]:
    for document, _ in files:
        if document.mode & stat.S_IWOTH and sys.platform != "win32":
            path = document.path
            yield f"{path}: everybody can change this file, and so what the collector runs; run chmod o-w {path}"


def _open_ways(files: Sequence[File]) -> Iterator[str]:
    """Addresses off this machine whose way isn't encrypted, or not checked: a sentence for each server, at its first.

    A proxy without a password gets nothing but what is encrypted, unless the host's own address says otherwise.
    """
    told: set[str] = set()
    for document, _ in files:
        for line, key, address in _addresses(Node(1, document.entries), document.values, ""):
            advice = _on_mongodb(address) if key == "uri" else _on_http(key, address)
            if advice and advice not in told:
                told.add(advice)
                yield f"{document.path}:{line}: {advice}"


def _addresses(node: Node, value: Any, key: str) -> Iterator[tuple[int, str, str]]:
    """Line, key and filled-in text of each address that the file itself holds."""
    match node.value:
        case str():
            if key in _WAYS:
                yield node.line, key, value
        case list(items):
            for item, filled in zip(items, value, strict=True):
                yield from _addresses(item, filled, key)
        case entries:
            for name, entry in entries.items():
                if name != "headers":  # whose names are the user's own
                    yield from _addresses(entry, value[name], name)


def _on_mongodb(address: str) -> str | None:
    risk = mongodb_risk(address)
    return risk and f"in `uri` {risk}"


def _on_http(key: str, address: str) -> str | None:
    parts = urlsplit(address)
    if parts.scheme != "http" or is_loopback(parts.hostname or "") or (key == "proxy" and not parts.password):
        return None
    what, them = ("the password of `proxy` goes", "it") if key == "proxy" else ("secrets and tokens go", "them")
    server = f"http://{parts.netloc.rpartition('@')[2]}"
    return f"{what} unencrypted to {server}, so whoever is on the way can read {them}; write https://"


def _early_days(files: Sequence[File]) -> Iterator[str]:
    for document, file in files:
        days: list[tuple[Location, date | None]] = [
            (("accounts", place, "since"), entry.since) for place, entry in enumerate(file.accounts)
        ]
        if isinstance(file, ConfigFile):
            days.insert(0, (("defaults", "since"), file.defaults.since))
        for location, since in days:
            if since and since < FIRST_DAY:
                where = document.where(location)
                yield f"{where}: `since` is {since}, but WeChat keeps nothing before {FIRST_DAY}; taken as that day"


def _classic_tokens(files: Sequence[File], accounts: Sequence[Account]) -> Iterator[str]:
    places = [(document, ("accounts", place)) for document, file in files for place, _ in enumerate(file.accounts)]
    classic = [
        document.where((*location, "token"))
        for account, (document, location) in zip(accounts, places, strict=True)
        if account.enabled and account.token is TokenKind.CLASSIC
    ]
    if classic:
        count = "1 account fetches its" if len(classic) == 1 else f"{len(classic)} accounts fetch their"
        yield (
            f"{classic[0]}: {count} token by the classic call, which ends the token that any other system "
            "of the account works with; write `token: stable` unless that is wanted"
        )


def _names_for_secrets(files: Sequence[File]) -> Iterator[str]:
    """A shell would fill in `$ACME_SECRET`; here it would be the secret itself. It isn't shown: it might be one."""
    for document, _ in files:
        for line, key, text in _texts(Node(1, document.entries), ""):
            if key in _SECRETS and _NAME.fullmatch(text):
                what = "is a $ and a word, taken as it stands; a variable is written ${ACME_SECRET}"
                yield f"{document.path}:{line}: `{key}` {what}"
