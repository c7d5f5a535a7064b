"""`yeastarctl doctor`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from .. import exits
from ..check.checker import check_sources
from ..check.environment import Variables
from ..check.sources import Sources, read
from ..terminal import Terminal, json_option, leave
from . import futuresms, plugin_server, redis_server
from .configured import Configured
from .line import Line

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command("doctor", epilog=exits.EPILOG)
@click.option(
    "--prefix",
    type=click.Path(path_type=Path),
    envvar="KONG_PREFIX",
    show_envvar=True,
    help="Kong's prefix, where the plugin server's socket is. Default: wherever a plugin server listens"
    " on this machine.",
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

    The plugin server's socket and process; with --config also the configuration, the Redis servers, and a log-in
    at FutureSMS (auth/login, auth/me, auth/logout; no message is sent) with the clock's difference.
    Run it as Kong's user with Kong's environment, or as root with --env-file.
    """
    terminal = Terminal(as_json)
    variables = Variables.of_kong(os.environ, env_file)
    lines = []
    found = [socket] if socket else [plugin_server.socket_in(prefix)] if prefix else plugin_server.sockets()
    for line in examine(found, files, variables, not no_futuresms):
        lines.append(line)
        terminal.mark(line.state, f"{line.subject}: ", line.detail)
        if line.todo:
            terminal.say(f"    → {line.todo}")
    failed = sum(line.state == "fail" for line in lines)
    terminal.document({"ok": not failed, "checks": [line.as_dict() for line in lines]})
    if failed:
        leave(exits.FOUND)


def examine(
    sockets: Sequence[Path], files: tuple[Path, ...], variables: Mapping[str, str], with_futuresms: bool
) -> Iterator[Line]:
    """Every check, one after the other. `sockets`: where plugin servers may be."""
    for socket in sockets:
        yield from plugin_server.check(socket)
    if not sockets:
        yield plugin_server.nowhere()
    if not files:
        yield Line("skip", "configuration, Redis, FutureSMS", "not looked at", "give --config kong.yml")
        return
    sources = read([(str(path), path.read_bytes()) for path in files])
    yield from _configuration(sources, variables)
    if any(finding.rule in ("yaml", "empty", "not-kong") for finding in sources.findings):
        return
    configured = Configured(sources.root, variables)
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


def _configuration(sources: Sources, variables: Mapping[str, str]) -> Iterator[Line]:
    findings = check_sources(sources, variables)
    unset = [finding for finding in findings if finding.rule == "vault-unset"]
    errors = [finding for finding in findings if finding.severity == "error" and finding not in unset]
    warnings = [finding for finding in findings if finding.severity == "warning" and finding not in unset]
    names = " ".join(sources.files)
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
            f"{len(errors)} error{'s' * (len(errors) > 1)}, the first at {first.file}:{first.line}: {first.problem}",
            f"yeastarctl config check {names}",
        )
    elif warnings:
        yield Line("warn", "configuration", "no errors, some warnings", f"yeastarctl config check {names}")
    else:
        yield Line("ok", "configuration", f"{names}: no problems found")
