"""The API keys of an instance: usable, secret, and each one consumer's alone."""

from collections.abc import Iterator

from ..key import digest, weakness
from .document import Node
from .finding import Finding, error, warning
from .vault import Environment, Reference

# SHA-256 of the keys in the README: fine on a laptop, known to everybody.
_DEMO = {
    "sha256:75f7f1dc092d92c27f5a86e2bc52281bbb79bebadf7cf501581f3afa1731eebd",
    "sha256:e1ec0bf4a243ea2314e40bab9bdde3d044dac82caa839194f22ab2aa9c076bd0",
}
_MAKE = "`yeastarctl key new --consumer NAME` makes a key and its sha256: line"


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
                " configuration is"
                " refused",
                "make one entry of the two",
            )
        usernames[username] = entry
        keys = entry.each("api_keys")
        if bearer and not keys:
            yield error("no-key", entry, f"{username} has no API key: nobody can authenticate as it", _MAKE)
        if not bearer and keys:
            yield warning(
                "keys-unused",
                keys[0],
                "with `authentication: kong` the keys are not looked at: a Kong auth plugin authenticates",
                "remove api_keys, or set `authentication: bearer`",
            )
        for key in keys:
            yield from _one(username, key, environment)
            yield from _alone(username, key, environment, owners)


def _one(username: str, node: Node, environment: Environment) -> Iterator[Finding]:
    if not isinstance(node.value, str):
        return  # Kong refuses it: the schema says so
    if not node.value:
        yield error("key-weak", node, f"a key of {username} is not accepted: it is blank", _MAKE)
        return
    value = environment.resolve(node.value)
    reference = Reference.parse(node.value)
    if not value:
        return  # unknown here, or unset: the references say so
    if identity(value) in _DEMO:
        yield warning(
            "demo-key",
            node,
            f"{username} has the demo key of the README, which everybody knows",
            f"replace it before anybody else can reach the gateway: {_MAKE}",
        )
        return
    if value.startswith("sha256:"):
        hexadecimal = value.strip().removeprefix("sha256:")
        if len(hexadecimal) != 64 or set(hexadecimal.lower()) - set("0123456789abcdef"):
            yield error(
                "key-malformed",
                node,
                f"a key of {username} begins with sha256: but has not 64 hexadecimal digits; it matches"
                " nothing",
                "`yeastarctl key hash` prints the form",
            )
        return
    weak = weakness(value)
    if weak:
        yield error("key-weak", node, f"a key of {username} is not accepted: {weak}", _MAKE)
    elif reference is None:
        yield warning(
            "key-in-clear",
            node,
            f"a key of {username} stands here in clear: whoever reads this file can send messages",
            f'write "{digest(value)}" instead',
        )


def _alone(
    username: str, node: Node, environment: Environment, owners: dict[str, tuple[str, Node]]
) -> Iterator[Finding]:
    value = environment.resolve(node.value) if isinstance(node.value, str) else None
    reference = Reference.parse(node.value) if isinstance(node.value, str) else None
    if value is None and reference is not None:
        mark = node.value  # not known here, yet the same reference is the same key
    elif not value or not value.strip():
        return
    else:
        mark = identity(value)
    other, first = owners.setdefault(mark, (username, node))
    if first is node:
        return
    if other == username:
        yield warning("key-twice", node, f"{username} has this key already (line {first.line})", "remove one")
    else:
        yield error(
            "key-shared",
            node,
            f"{other} has the same key (line {first.line}); the whole configuration is refused",
            f"give each consumer a key of its own: {_MAKE}",
        )


def identity(key: str) -> str:
    """What two spellings of one key have in common: its `sha256:` form."""
    return key.strip().lower() if key.startswith("sha256:") else digest(key)
