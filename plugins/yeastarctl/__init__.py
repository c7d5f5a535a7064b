"""`yeastarctl`: what operators and integrators of the gateway do by hand."""

from importlib import import_module

import click
from yeastar_adapter import __version__

from . import exits

_COMMANDS = {
    "config": "check.command:group",
    "doctor": "doctor.command:doctor",
    "key": "key:group",
    "lua-path": "lua_path:lua_path",
    "order": "order.command:order",
    "send": "send:send",
    "verify": "verify:verify",
}
"""Where each command is: module and name in it."""


class Commands(click.Group):
    """Commands that are loaded when they are called. Nobody waits for what only the others need."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, command = _COMMANDS[name].partition(":")
        found: click.Command = getattr(import_module(f".{module}", __name__), command)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.EPILOG)
@click.version_option(__version__, prog_name="yeastarctl")
def main() -> None:
    """Keys, configuration checks and tests for a Kong gateway with the plugin yeastar-adapter."""
