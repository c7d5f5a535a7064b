"""`yeastarctl config`: is this configuration good?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from .. import exits
from ..terminal import Terminal, json_option, leave
from . import fix
from .checker import check_sources
from .environment import Variables
from .finding import SEVERITIES, Finding
from .sources import read

_STDIN = "-"
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_INPUT = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True, path_type=str)
_STATES = {"error": "fail", "warning": "warn", "hint": "skip"}


@click.group("config", epilog=exits.EPILOG)
def group() -> None:
    """Check a gateway's configuration before Kong gets it."""


@group.command("check", epilog=exits.EPILOG)
@click.argument("files", nargs=-1, required=True, type=_INPUT)
@click.option(
    "--env-file", type=_FILE, help="Take Kong's environment variables from this file as well (.env)."
)
@click.option(
    "--no-environment",
    is_flag=True,
    help="Do not look up vault references and files on this machine: Kong runs on another.",
)
@click.option(
    "--admin-url",
    metavar="URL",
    help="Also ask this running Kong what it would refuse; nothing is changed there.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--fix", "with_fix", is_flag=True, help="Show what can be corrected mechanically, as a diff.")
@click.option("--yes", is_flag=True, help="With --fix: write the corrections into the files.")
@json_option
def check(
    files: tuple[str, ...],
    env_file: Path | None,
    no_environment: bool,
    admin_url: str | None,
    strict: bool,
    with_fix: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Say what Kong would refuse in kong.yml, and what it would accept but should not.

    Several FILES are taken together as one gateway's configuration; `-` is standard input, as in
    `deck gateway dump -o - | yeastarctl config check -`. Declarative files (kong.yml, decK), manifests (KongPlugin,
    KongConsumer, Ingress, HTTPRoute) and values of Kong's Helm chart are told apart. An error is what Kong refuses,
    what serves nobody, what is open, or what can double an order; only errors make exit status 1.
    Each finding names its rule: see docs/config-check.md.
    """
    terminal = Terminal(as_json)
    texts = _texts(files)
    variables = Variables.of_kong(os.environ, env_file)
    sources = read(texts)
    findings = check_sources(sources, None if no_environment else variables)
    if admin_url:
        from . import admin  # an HTTP client, which takes longer to load than most files to check

        try:
            findings = admin.compare(admin_url, sources.root, findings)
        except admin.UnreachableError as problem:
            raise click.BadParameter(str(problem), param_hint="--admin-url") from problem
    counts = {severity: _count(findings, severity) for severity in SEVERITIES}
    bad = bool(counts["error"] or (strict and counts["warning"]))
    terminal.document(
        {
            "ok": not bad,
            "errors": counts["error"],
            "warnings": counts["warning"],
            "hints": counts["hint"],
            "findings": [finding.as_dict() for finding in findings],
        }
    )
    show(terminal, findings, files)
    if with_fix:
        _fix(terminal, texts, findings, yes)
    if bad:
        leave(exits.FOUND)


def show(terminal: Terminal, findings: Sequence[Finding], files: Iterable[str]) -> None:
    """Print findings, each with place and cure, and how many there are."""
    for finding in findings:
        terminal.mark(
            _STATES[finding.severity],
            f"{finding.file}:{finding.line}",
            f" {finding.severity}: {finding.problem} [{finding.rule}]",
        )
        if finding.where:
            terminal.say(f"    {finding.where}", style="dim")
        if finding.todo:
            terminal.say(f"    → {finding.todo}")
    terminal.mark(state_of(findings), f"{', '.join(files)}: {summary(findings)}")


def summary(findings: Sequence[Finding]) -> str:
    """`1 error, 2 warnings, 1 hint`."""
    return ", ".join(_number(_count(findings, severity), severity) for severity in SEVERITIES)


def state_of(findings: Sequence[Finding]) -> str:
    """The mark of `terminal` for the worst of some findings."""
    if _count(findings, "error"):
        return "fail"
    return "warn" if _count(findings, "warning") else "ok"


def _texts(files: tuple[str, ...]) -> list[tuple[str, bytes]]:
    found = []
    for name in files:
        if name == _STDIN:
            found.append(("<stdin>", sys.stdin.buffer.read()))
        else:
            found.append((name, Path(name).read_bytes()))
    return found


def _fix(terminal: Terminal, texts: list[tuple[str, bytes]], findings: list[Finding], yes: bool) -> None:
    before = {name: content.decode("utf-8") for name, content in texts if name != "<stdin>"}
    after = fix.corrected(before, findings)
    difference = fix.difference(before, after)
    if not difference:
        terminal.say("Nothing here can be corrected mechanically.")
        return
    if not terminal.as_json:
        click.echo(difference, nl=False)
    if not yes:
        if terminal.as_json or not sys.stdin.isatty():
            terminal.note("Nothing is written: --fix --yes writes it.")
            return
        if not click.confirm("Write this?", err=True):
            return
    for name, text in after.items():
        if text != before[name]:
            Path(name).write_text(text, encoding="utf-8", newline="")
            terminal.note(f"{name}: written")


def _count(findings: Iterable[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
