"""The API keys of an instance: usable, secret, and each one consumer's alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kong_declarative.vault import is_reference

from ..key import digest, weakness
from .environment import Environment
from .finding import Edit, Finding, error, hint, warning
from .node import Node

# SHA-256 of the keys in the README: fine on a laptop, known to everybody.
_DEMO = {
    "sha256:75f7f1dc092d92c27f5a86e2bc52281bbb79bebadf7cf501581f3afa1731eebd",
    "sha256:e1ec0bf4a243ea2314e40bab9bdde3d044dac82caa839194f22ab2aa9c076bd0",
}
_MAKE = "`yeastarctl key new --consumer NAME` makes a key and its sha256: line"
_HASH = "`yeastarctl key hash` prints the form from the key"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
# Other ways to write a hash, of which the adapter knows none.
_OTHER_HASH = re.compile(r"(sha-?\d+|md5|hash)\s*[:=$ ]|\{sha|\$(2[aby]|argon2|5|6|pbkdf2)", re.IGNORECASE)


def check(config: Node, environment: Environment) -> Iterator[Finding]:
    """Look at `consumers[].api_keys`, and at usernames that occur twice."""
    bearer = config.text("authentication") != "kong"
    usernames: dict[str, Node] = {}
    owners: dict[str, tuple[str, Node]] = {}
    for entry in config.each("consumers"):
        username = entry.text("username") or "?"
        if username in usernames:
            yield error(
                "consumer-twice",
                entry,
                f"{username} has an entry already (line {usernames[username].line}); the whole"
                f" configuration is refused",
                "merge the two entries",
            )
        usernames[username] = entry
        keys = entry.each("api_keys")
        given = entry.get("api_keys")
        if bearer and not keys and (given is None or given.value == []):
            off = entry.is_false("enabled")
            yield (warning if off else error)(
                "no-key", entry, f"{username} has no API key: nobody can authenticate as it", _MAKE
            )
        if not bearer and keys:
            yield warning(
                "keys-unused",
                keys[0],
                "with `authentication: kong` the keys are not looked at: a Kong auth plugin authenticates",
                "remove api_keys, or set `authentication: bearer`",
            )
        for key in keys:
            if bearer:
                yield from _one(username, key, environment)
            yield from _alone(username, key, environment, owners)


def _one(username: str, node: Node, environment: Environment) -> Iterator[Finding]:
    if not isinstance(node.value, str):
        return  # Kong refuses it
    if not node.value.strip():
        yield error("key-weak", node, f"a key of {username} is not accepted: it is blank", _MAKE)
        return
    value = environment.resolve(node.value)
    if value is None or not value.strip() or "vault" in value.lower() or value.startswith(("${", "{env")):
        return  # unknown here, unset, or no reference: `references` says so
    said = f"a key of {username}"
    if is_reference(node.value):
        said += f" (in {environment.variable(node.value)})"
    value = value.strip()
    if identity(value) in _DEMO:
        yield warning(
            "demo-key",
            node,
            f"{username} has the demo key of the README, which everybody knows",
            f"replace it before anybody else can reach the gateway: {_MAKE}",
        )
    elif _DIGEST.fullmatch(value):
        return
    elif value.lower().startswith("sha256:"):
        yield error(
            "key-malformed",
            node,
            f"{said} begins with sha256: but has {_counted(value[7:])} instead of 64 hexadecimal"
            f" digits; it matches nothing",
            _HASH,
        )
    elif _HEX.fullmatch(value):
        yield error(
            "key-digits",
            node,
            f"{said} is 64 hexadecimal digits without sha256: in front: the adapter takes the digits themselves for the"
            " key, and a PBX that sends the key they were made from gets 401",
            f"if it is a hash, write sha256: in front of it; if it is the key itself, {_HASH}",
            None if is_reference(node.value) else Edit(value, f"sha256:{value}"),
        )
    elif _OTHER_HASH.match(value):
        yield error(
            "key-malformed",
            node,
            f"{said} looks like a hash in another form; the adapter would take this text itself for the key",
            f"only sha256:<64 hexadecimal digits> is known; {_HASH}",
        )
    else:
        yield from _plain(said, value, node)


def _plain(said: str, value: str, node: Node) -> Iterator[Finding]:
    if value.lower().startswith("bearer "):
        yield error(
            "key-bearer",
            node,
            f"{said} begins with `Bearer `: the adapter compares what follows that word in the header, so it matches"
            " nothing",
            "leave out `Bearer `",
            None if is_reference(node.value) else Edit(value[:7], ""),
        )
        return
    weak = weakness(value)
    if weak:
        yield error("key-weak", node, f"{said} is not accepted: {weak}", _MAKE)
    elif not is_reference(node.value):
        yield warning(
            "key-in-clear",
            node,
            f"{said} is in plain text here: anyone who can read this file can send messages",
            f'write "{digest(value)}" instead',
            Edit(value, digest(value)),
        )


def _counted(digits: str) -> str:
    wrong = sorted(set(digits.lower()) - set("0123456789abcdef"))
    if wrong:
        return f"{len(digits)} characters, {wrong[0]!r} among them,"
    return f"{len(digits)}"


def _alone(
    username: str, node: Node, environment: Environment, owners: dict[str, tuple[str, Node]]
) -> Iterator[Finding]:
    value = environment.text(node)
    if value is None and isinstance(node.value, str):
        mark = node.value  # not known here, yet the same reference is the same key
    elif not value or not value.strip():
        return
    else:
        mark = identity(value)
    other, first = owners.setdefault(mark, (username, node))
    if first is node:
        return
    if other == username:
        yield hint("key-twice", node, f"{username} has this key already (line {first.line})", "remove one")
    else:
        yield error(
            "key-shared",
            node,
            f"{other} has the same key (line {first.line}); the whole configuration is refused",
            f"give each consumer a key of its own: {_MAKE}",
        )


def identity(key: str) -> str:
    """What two spellings of one key have in common: its `sha256:` form."""
    key = key.strip()
    return key.lower() if key.lower().startswith("sha256:") else digest(key)
