"""`yeastarctl`: what operators and integrators of the gateway do by hand."""

import click
from yeastar_adapter import __version__

from . import exits, key
from .check import command as check
from .doctor.command import doctor
from .lua_path import lua_path
from .order.command import order
from .send import send
from .verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.EPILOG)
@click.version_option(__version__, prog_name="yeastarctl")
def main() -> None:
    """Keys, configuration checks and tests for a Kong gateway with the plugin yeastar-adapter."""


main.add_command(key.group)
main.add_command(check.group)
main.add_command(lua_path)
main.add_command(verify)
main.add_command(send)
main.add_command(order)
main.add_command(doctor)
