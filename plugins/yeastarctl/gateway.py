"""The options with which `verify` and `send` name a gateway, and how they report its answer."""

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from . import exits
from .catalogue import explain
from .pbx import Answer, Pbx
from .terminal import Terminal

Command = TypeVar("Command", bound=Callable[..., Any])
# With it the log lines of a request are found: the adapter's have it as `request_id`.
_REQUEST_ID = "X-Kong-Request-Id"
KEY_VARIABLE = "YEASTARCTL_KEY"


def gateway_options(command: Command) -> Command:
    """`--url`, `--key`, `--timeout`, `--ca` and `--insecure`."""
    for option in (
        click.option(
            "--ca",
            type=click.Path(exists=True, dir_okay=False, readable=True),
            metavar="FILE",
            help="PEM file of the certificate authorities to trust, instead of the public ones.",
        ),
        click.option("--insecure", is_flag=True, help="Accept any TLS certificate."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True, max=300),
            default=10,
            show_default=True,
            metavar="SECONDS",
            help="Time limit for each request.",
        ),
        click.option(
            "--key",
            metavar="KEY",
            help=f"The PBX's API key. Better in the environment variable {KEY_VARIABLE}: other users of the"
            " machine can read a command line. Without either, a terminal asks for it.",
        ),
        click.option(
            "--url",
            required=True,
            envvar="YEASTARCTL_URL",
            show_envvar=True,
            metavar="URL",
            help="The gateway, such as https://sms.example.com.",
        ),
    ):
        command = option(command)
    return command


def connect(url: str, key: str | None, timeout: float, ca: str | None, insecure: bool) -> Pbx:
    """A PBX for the options that were given; asks at a terminal for a key that is missing."""
    key = key if key is not None else os.environ.get(KEY_VARIABLE)
    if key is None:
        if not sys.stdin.isatty():
            raise click.UsageError(f"no key: set {KEY_VARIABLE} or give --key")
        key = click.prompt("API key", hide_input=True, err=True)
    key = (key or "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise click.BadParameter(
            "the key is blank or has characters that no header can carry", param_hint="--key"
        )
    try:
        return Pbx(url, key, timeout, verify_tls=False if insecure else ca or True)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error


def report(answer: Answer) -> dict[str, Any]:
    """An answer for `--json`; a refusal comes with its explanation."""
    error = answer.error or {}
    result: dict[str, Any] = {
        "ok": answer.status == 200,
        "status": answer.status,
        "milliseconds": round(answer.seconds * 1000, 1),
        "order_id": answer.order_id,
        "code": error.get("code"),
        "title": error.get("title"),
        "detail": error.get("detail"),
        "retry_after": answer.headers.get("Retry-After"),
        "request_id": answer.headers.get(_REQUEST_ID),
    }
    if answer.status != 200:
        explanation = explain(error.get("code"))
        result["seen"] = explanation.seen
        result["causes"] = [vars(cause) for cause in explanation.causes]
    return result


def show_refusal(terminal: Terminal, answer: Answer) -> int:
    """Print a refusal with its likely causes; the exit status that goes with it."""
    error = answer.error
    took = f"  ({answer.seconds * 1000:.1f} ms)"
    if error is None:
        terminal.mark("fail", f"HTTP {answer.status}, not in Yeastar's form", took)
        server = answer.headers.get("Server")
        if server:
            terminal.say(f"  Answered by: {server}")
        terminal.say(f"  Body begins: {answer.body[:160].decode('utf-8', 'replace')!r}")
    else:
        terminal.mark("fail", f"HTTP {answer.status}  {error['code']} {error.get('title', '')}", took)
        if error.get("detail") and error.get("detail") != error.get("title"):
            terminal.say(f"  {error['detail']}")
    if answer.headers.get("Retry-After"):
        terminal.say(f"  Try again in {answer.headers['Retry-After']} s (Retry-After).")
    if answer.headers.get(_REQUEST_ID):
        terminal.say(f"  In the gateway's log: request_id={answer.headers[_REQUEST_ID]}")
    explanation = explain(error["code"] if error else None)
    terminal.say(f"\n  On the PBX: {explanation.seen}")
    terminal.say("  Likely causes, the likeliest first:")
    for number, cause in enumerate(explanation.causes, start=1):
        terminal.say(f"  {number}. {cause.what}")
        terminal.say(f"     who: {cause.who} · look at: {cause.look}", style="dim")
    return exits.FOUND
