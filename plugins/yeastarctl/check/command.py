"""`yeastarctl config`: is this configuration good?"""

import os
import textwrap
from pathlib import Path

import click

from .. import exits
from ..terminal import Terminal, json_option, leave
from . import functions
from .checker import check_files
from .finding import Finding
from .vault import read_env_file

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group("config", epilog=exits.EPILOG)
def group() -> None:
    """Check a gateway's configuration before Kong gets it."""


@group.command("check", epilog=exits.EPILOG)
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--env-file", type=_FILE, help="Take Kong's environment variables from this file as well (.env)."
)
@click.option(
    "--no-environment", is_flag=True, help="Do not look up vault references: this is another machine."
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@json_option
def check(
    files: tuple[Path, ...], env_file: Path | None, no_environment: bool, strict: bool, as_json: bool
) -> None:
    """Say what Kong would refuse in kong.yml, and what it would accept but should not.

    Several FILES are taken together as one gateway's configuration. Declarative files (kong.yml, decK) and
    manifests (KongPlugin, KongConsumer) are understood. Nothing is sent anywhere.
    """
    terminal = Terminal(as_json)
    variables = dict(os.environ)
    if env_file:
        variables |= read_env_file(env_file.read_text(encoding="utf-8"))
    findings = check_files(files, None if no_environment else variables)
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    bad = bool(errors or (strict and warnings))
    terminal.document(
        {
            "ok": not bad,
            "errors": errors,
            "warnings": warnings,
            "findings": [finding.as_dict() for finding in findings],
        }
    )
    for finding in findings:
        _show(terminal, finding)
    counts = f"{_number(errors, 'error')}, {_number(warnings, 'warning')}"
    names = ", ".join(str(path) for path in files)
    terminal.mark("fail" if errors else "warn" if warnings else "ok", f"{names}: {counts}")
    if bad:
        leave(exits.FOUND)


@group.command("guard", epilog=exits.EPILOG)
@click.option("--order-path", default=functions.ORDER_PATH, show_default=True, help="As `order.path` says.")
@json_option
def guard(order_path: str, as_json: bool) -> None:
    """Print what belongs beside the adapter on every route, as YAML to paste: the reader and the guard."""
    terminal = Terminal(as_json)
    plugins = {name: functions.with_order_path(lua, order_path) for name, lua in functions.shipped().items()}
    terminal.document(
        [
            {"name": name, "config": {phase: [lua] for phase, lua in phases.items()}}
            for name, phases in plugins.items()
        ]
    )
    for name, phases in plugins.items():
        terminal.say(f"- name: {name}\n  config:")
        for phase, lua in phases.items():
            terminal.say(f"    {phase}:\n      - |\n{textwrap.indent(lua.rstrip(), ' ' * 8)}")


def _show(terminal: Terminal, finding: Finding) -> None:
    state = "fail" if finding.severity == "error" else "warn"
    terminal.mark(
        state, f"{finding.file}:{finding.line}", f" {finding.severity}: {finding.problem} [{finding.rule}]"
    )
    if finding.where:
        terminal.say(f"    {finding.where}", style="dim")
    if finding.todo:
        terminal.say(f"    → {finding.todo}")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
