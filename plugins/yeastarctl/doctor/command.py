"""`yeastarctl doctor`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from .. import exits
from ..check.checker import check_files
from ..check.document import Node, Unreadable, read
from ..check.vault import read_env_file
from ..terminal import Terminal, json_option, leave
from . import futuresms, plugin_server, redis_server
from .configured import Configured
from .line import Line

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_PREFIXES = ("/var/run/kong", "/usr/local/kong")


@click.command("doctor", epilog=exits.EPILOG)
@click.option(
    "--prefix",
    type=click.Path(path_type=Path),
    envvar="KONG_PREFIX",
    show_envvar=True,
    help=f"Kong's prefix, where the plugin server's socket is. Default: {' or '.join(_PREFIXES)}.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="The plugin server's socket, where it is not in the prefix (`pluginserver_…_socket`).",
)
@click.option(
    "--config", "files", multiple=True, type=_FILE, help="kong.yml; for what stands there. May be repeated."
)
@click.option(
    "--env-file", type=_FILE, help="Take Kong's environment variables from this file as well (.env)."
)
@click.option("--no-futuresms", is_flag=True, help="Do not log in at FutureSMS.")
@json_option
def doctor(
    prefix: Path | None,
    socket: Path | None,
    files: tuple[Path, ...],
    env_file: Path | None,
    no_futuresms: bool,
    as_json: bool,
) -> None:
    """Look at everything a message needs, on the machine where Kong runs.

    The plugin server's socket and process; with --config also the configuration, the Redis servers, and a login
    at FutureSMS (auth/login, auth/me, auth/logout; no message is sent) with the clock's difference.
    Run it as Kong's user and with Kong's environment.
    """
    terminal = Terminal(as_json)
    variables = dict(os.environ)
    if env_file:
        variables |= read_env_file(env_file.read_text(encoding="utf-8"))
    lines = []
    path = socket or plugin_server.socket_in(prefix or _default_prefix())
    for line in examine(path, files, variables, not no_futuresms):
        lines.append(line)
        terminal.mark(line.state, f"{line.subject}: ", line.detail)
        if line.todo:
            terminal.say(f"    → {line.todo}")
    failed = sum(line.state == "fail" for line in lines)
    terminal.document({"ok": not failed, "checks": [line.as_dict() for line in lines]})
    if failed:
        leave(exits.FOUND)


def examine(
    socket: Path, files: tuple[Path, ...], variables: Mapping[str, str], with_futuresms: bool
) -> Iterator[Line]:
    """Every check, one after the other."""
    yield from plugin_server.check(socket)
    if not files:
        yield Line("skip", "configuration, Redis, FutureSMS", "not looked at", "give --config kong.yml")
        return
    yield from _configuration(files, variables)
    configured = _configured(files, variables)
    if configured is None:
        return
    servers = configured.redis()
    for settings in servers:
        yield from redis_server.check(settings)
    if not servers:
        yield Line("skip", "Redis", "no instance has `rate_limit.policy: redis`: each node counts for itself")
    accounts = configured.accounts()
    if not with_futuresms:
        yield Line("skip", "FutureSMS", "not looked at (--no-futuresms)")
    elif not accounts:
        yield Line(
            "fail",
            "FutureSMS",
            "no instance has a complete Merchant account: address, username and password",
            "see what `yeastarctl config check` says; every message is refused with 10005",
        )
    else:
        for account in accounts:
            yield from futuresms.check(account)


def _configuration(files: tuple[Path, ...], variables: Mapping[str, str]) -> Iterator[Line]:
    findings = check_files(files, variables)
    unset = [finding for finding in findings if finding.rule == "vault-unset"]
    errors = [finding for finding in findings if finding.severity == "error" and finding not in unset]
    names = " ".join(str(path) for path in files)
    for finding in unset:
        state = "fail" if finding.severity == "error" else "warn"
        yield Line(
            "fail" if state == "fail" else "warn",
            "vault",
            f"{finding.where}: {finding.problem}",
            "set it in Kong's environment, or give --env-file FILE",
        )
    if not unset:
        yield Line("ok", "vault", "every variable that the configuration refers to is set")
    if errors:
        first = errors[0]
        yield Line(
            "fail",
            "configuration",
            f"{len(errors)} errors, the first at {first.file}:{first.line}: {first.problem}",
            f"yeastarctl config check {names}",
        )
    elif len(findings) > len(unset):
        yield Line("warn", "configuration", "no errors, some warnings", f"yeastarctl config check {names}")
    else:
        yield Line("ok", "configuration", f"{names}: nothing to object to")


def _configured(files: tuple[Path, ...], variables: Mapping[str, str]) -> Configured | None:
    documents: list[Node] = []
    try:
        for path in files:
            documents += read(path)[0]
    except Unreadable:
        return None  # said already
    return Configured(documents, variables)


def _default_prefix() -> Path:
    found = [Path(prefix) for prefix in _PREFIXES if Path(prefix).is_dir()]
    return found[0] if found else Path(_PREFIXES[-1])
