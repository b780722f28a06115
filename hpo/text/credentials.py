"""Finds the passwords and tokens that this process knows, and masks them in texts.

All that hpo prints, stores or logs goes through `hidden`. It masks what is in the place of a password in a URL or a
setting. It also masks every password that this process has seen in a URL, in the environment, or in the files of
PostgreSQL and MLflow.
"""

import base64
import configparser
import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

# Characters of the shortest secret that is masked in any text: shorter ones are often ordinary words.
_SHORTEST = 6
# The same in the values of an experiment, which are used afterwards: `digits` may be somebody's password.
_SHORTEST_IN_VALUES = 8
# A secret of at least this length is masked in the middle of a word too.
_LONG = 16

_PASSWORDS = r"password|passwd|pwd|sslpassword|passphrase"
_TOKENS = (
    rf"{_PASSWORDS}|[\w-]*token|api[_-]?key|secret|[\w-]*secret|secret[_-]?key|access[_-]?key|sig|[\w-]*signature"
    r"|x-amz-credential"
)
# A password may hold any character, also without the escape %xx, so it ends at the last @ of the word. Text that
# begins with a port and a slash is no password. A scheme has no more than forty characters: without a limit, the search
# takes twenty seconds for an error of 80,000 letters, since it reads on to their end from each of them.
_IN_URL = re.compile(r"([A-Za-z][\w+.\-]{0,40}://)([^\s:/@?#'\"<>]*):(?!\d{1,5}[/?#])([^\s'\"<>`]+)@")
_ALONE_IN_URL = re.compile(r"\b((?:git\+)?https?://)([^\s:/@?#'\"<>]+)@", re.IGNORECASE)
_IN_QUERY = re.compile(rf"([?&;](?:{_TOKENS})=)([^\s&;#'\"<>)]+)", re.IGNORECASE)
_SET = re.compile(rf"\b((?:{_PASSWORDS})=)([^\s&;,'\"<>)}}\]]+)", re.IGNORECASE)
_QUOTED = re.compile(rf"\b((?:{_PASSWORDS})=)('[^']*'|\"[^\"]*\")", re.IGNORECASE)
_HEADER = re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer|token)\s+)([\w+/=.~\-]+)", re.IGNORECASE)

_VARIABLES = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY|SECRET_KEY|CREDENTIALS?)(_\d+)?$", re.IGNORECASE
)

_met: set[str] = set()


def learn(text: str) -> None:
    """Remembers the passwords and tokens of the URLs in a text, so that no later text has them."""
    _met.update(_secrets_of_urls(text))


def learn_variables(variables: Mapping[str, object]) -> None:
    """Remembers the values of environment variables whose names say that they are secret."""
    _met.update(str(value) for name, value in variables.items() if _VARIABLES.search(str(name)))


def learn_url(url: str) -> None:
    """Remembers the password of a URL, which may hold any characters: spaces and quotes too."""
    learn(url)
    whole = re.fullmatch(r"[A-Za-z][\w+.\-]*://([^:/@]*):(?!\d{1,5}[/?#])(.+)@[^@]*", url.strip(), re.DOTALL)
    if whole is not None:
        _met.update((whole[2], unquote(whole[2])))


def hidden(text: str) -> str:
    """A text without passwords and tokens."""
    if "@" in text or "=" in text or ":" in text:
        learn(text)
    return _without(text, _SHORTEST)


def hidden_in(value: Any) -> Any:
    """A JSON value without passwords and tokens; keys stay as they are."""
    if isinstance(value, Mapping):
        return {key: hidden_in(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [hidden_in(part) for part in value]
    return _without(value, _SHORTEST_IN_VALUES) if isinstance(value, str) else value


def _without(text: str, shortest: int) -> str:
    if len(text) < _SHORTEST:
        return text
    if "@" in text or "=" in text or ":" in text:
        for pattern in (_IN_URL, _ALONE_IN_URL, _IN_QUERY, _QUOTED, _SET, _HEADER):
            text = pattern.sub(_masked, text)
    known = _compiled(frozenset(_met | _known_secrets()), shortest)
    return text if known is None else known.sub(MASK, text)


def _masked(found: re.Match[str]) -> str:
    """The match with its last group masked; the user's name and the @ behind a URL's password stay."""
    whole, secret = found.group(0), found.groups()[-1]
    if secret == MASK:
        return whole
    start = found.start(found.re.groups) - found.start()
    return f"{whole[:start]}{MASK}{whole[start + len(secret) :]}"


@lru_cache(maxsize=8)
def _compiled(secrets: frozenset[str], shortest: int) -> re.Pattern[str] | None:
    words = set()
    for secret in secrets:
        if len(secret) >= shortest:
            forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret)}
            forms |= {repr(form)[1:-1] for form in set(forms)}
            words |= {form for form in forms if len(form) >= shortest}
    if not words:
        return None
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    within = [re.escape(word) for word in longest_first if len(word) >= _LONG]
    alone = [rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])" for word in longest_first if len(word) < _LONG]
    return re.compile("|".join([*within, *alone]))


def _secrets_of_urls(text: str) -> Iterator[str]:
    for _, user, password in _IN_URL.findall(text):
        if password != MASK:
            yield from (password, unquote(password))
            pair = f"{unquote(user)}:{unquote(password)}"
            yield base64.b64encode(pair.encode("utf-8", "surrogateescape")).decode("ascii")
    for pattern in (_ALONE_IN_URL, _IN_QUERY):
        for _, secret in pattern.findall(text):
            if secret != MASK:
                yield from (secret, unquote(secret))


def _known_secrets() -> frozenset[str]:
    # Read at most once a second, since thousands of short texts may be logged at a time.
    return _secrets_at(int(time.monotonic()))


@lru_cache(maxsize=1)
def _secrets_at(second: int) -> frozenset[str]:
    return _secrets_of_environment(tuple(os.environ.items())) | _secrets_of_files()


@lru_cache(maxsize=2)
def _secrets_of_environment(variables: tuple[tuple[str, str], ...]) -> frozenset[str]:
    found: set[str] = set()
    for name, value in variables:
        if _VARIABLES.search(name):
            found.add(value.strip())
        if "://" in value:
            found.update(_secrets_of_urls(value))
    # The path of a working directory or of a file of credentials is no secret.
    return frozenset(value for value in found if not Path(value).is_absolute())


def _secrets_of_files() -> frozenset[str]:
    home = Path(os.environ.get("HOME") or os.environ.get("USERPROFILE") or "/nonexistent")
    places = (Path(os.environ.get("PGPASSFILE") or home / ".pgpass"), home / ".mlflow" / "credentials")
    return _read(*(place if place.is_file() else None for place in places))


@lru_cache(maxsize=2)
def _read(pgpass: Path | None, mlflow: Path | None) -> frozenset[str]:
    found: set[str] = set()
    for line in _lines(pgpass):
        fields = re.split(r"(?<!\\):", line.strip())
        if len(fields) == 5 and not line.startswith("#"):
            found.add(re.sub(r"\\(.)", r"\1", fields[4]))
    if mlflow is not None:
        sections = configparser.ConfigParser(interpolation=None)
        try:
            sections.read_string("\n".join(_lines(mlflow)))
        except configparser.Error:
            return frozenset(found)
        found |= {value for name in sections.sections() for key, value in sections[name].items() if "password" in key}
    return frozenset(found)


def _lines(path: Path | None) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if path is not None else []
    except OSError:
        return []
