"""`yeastarctl key`: API keys for PBXs."""

import hashlib
import json
import re
import secrets
import sys

import click
from yeastar_adapter.settings import PLAIN_KEY_AT_LEAST

from . import exits
from .terminal import Terminal, json_option, leave

_WORDS = frozenset({"true", "false", "yes", "off", "null"})
RANDOM_BYTES = 32  # 43 characters of URL-safe Base64


def digest(key: str) -> str:
    """The form of a key that may stand in a file: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def new_key(consumer: str) -> str:
    """A key nobody can guess, with the consumer's name in front so that people can tell keys apart."""
    name = re.sub(r"[^a-z0-9]+", "_", consumer.lower()).strip("_")
    return "_".join(part for part in ("ystr", name[:40], secrets.token_urlsafe(RANDOM_BYTES)) if part)


def vault_name(consumer: str) -> str:
    """The name in `{vault://env/NAME}` for a consumer's key."""
    return re.sub(r"[^a-z0-9]+", "-", consumer.lower()).strip("-") + "-key"


def scalar(text: str) -> str:
    """A string as YAML takes it, in quotes where plain text would be read as something else."""
    return (
        text if re.fullmatch(r"[A-Za-z][\w.-]{2,}", text) and text.lower() not in _WORDS else json.dumps(text)
    )


def variable(name: str) -> str:
    """The environment variable that Kong's `env` vault reads for `{vault://env/NAME}`."""
    return name.replace("-", "_").upper()


@click.group("key", epilog=exits.EPILOG)
def group() -> None:
    """Make and hash the API keys that PBXs authenticate with."""


@group.command("new", epilog=exits.EPILOG)
@click.option("--consumer", required=True, metavar="NAME", help="The Kong consumer that stands for the PBX.")
@json_option
def new(consumer: str, as_json: bool) -> None:
    """Make a strong key and show it once, with what to paste into kong.yml.

    Nothing is stored: put the key into the PBX (field "API Key") or into a password safe now.
    """
    if not re.search(r"[A-Za-z0-9]", consumer):
        raise click.BadParameter("the name needs at least one letter or digit", param_hint="--consumer")
    key = new_key(consumer)
    name, username = vault_name(consumer), scalar(consumer)
    hashed = f'consumers:\n  - username: {username}\n    api_keys: ["{digest(key)}"]'
    vault = f'consumers:\n  - username: {username}\n    api_keys: ["{{vault://env/{name}}}"]'
    kong = f"consumers:\n  - username: {username}"
    terminal = Terminal(as_json)
    terminal.document(
        {
            "consumer": consumer,
            "key": key,
            "hash": digest(key),
            "yaml": {"hash": hashed, "vault": vault, "kong": kong},
            "environment": {variable(name): digest(key)},
        }
    )
    terminal.say("The key, shown only this once:", style="bold")
    terminal.say(f"\n  {key}\n", style="bold green")
    terminal.say("It goes into the PBX: Messaging > Message Channel > the SMS channel > API Key.")
    terminal.say("The gateway needs one of these two in the plugin's config.\n")
    terminal.say("1. The hash. kong.yml may be read by anyone, the key is not in it:", style="bold")
    terminal.say(_indent(hashed))
    terminal.say(
        "\n2. A vault reference. Kong's environment holds the hash (the key itself would do):",
        style="bold",
    )
    terminal.say(_indent(vault))
    terminal.say(f"\n    export {variable(name)}={digest(key)}")
    terminal.say("\nThe consumer must exist in Kong too, at the top level of kong.yml:", style="bold")
    terminal.say(_indent(kong))


@group.command("hash", epilog=exits.EPILOG)
@json_option
def hash_(as_json: bool) -> None:
    """Read a key from standard input and print its `sha256:` form.

    At a terminal the key is asked for and not shown; otherwise one line is read:

        pass show pbx/acme | yeastarctl key hash
    """
    terminal = Terminal(as_json)
    key = click.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    key = key.rstrip("\r\n")
    problem = weakness(key)
    terminal.document({"hash": None if problem else digest(key), "problem": problem})
    if problem:
        terminal.note(f"Not hashed: {problem}.")
        leave(exits.FOUND)
    terminal.say(digest(key))


def weakness(key: str) -> str | None:
    """Why `key` is no good as a PBX's key, or None."""
    if not key.strip():
        return "the key is blank"
    if key != key.strip() or not key.isascii() or not key.isprintable() or " " in key:
        return "a key is one word of ASCII characters: a PBX sends it in an HTTP header"
    if len(key) < PLAIN_KEY_AT_LEAST:
        return f"the key has {len(key)} characters, and fewer than {PLAIN_KEY_AT_LEAST} can be guessed"
    return None


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
