"""`yeastarctl lua-path`: where Kong finds the Lua plugins `yeastar-reader` and `yeastar-guard`."""

from pathlib import Path

import click
import yeastar_adapter

from . import exits
from .terminal import Terminal, json_option

_HANDLER = Path("kong/plugins/yeastar-reader/handler.lua")


def lua_root() -> Path:
    """The folder that `kong/plugins/yeastar-reader` lies in.

    Inside the installed package; in a checkout (an editable installation), the checkout itself.
    """
    package = Path(yeastar_adapter.__file__).resolve().parent
    for root in (package / "lua", package.parents[1]):
        if (root / _HANDLER).is_file():
            return root
    raise FileNotFoundError(f"no {_HANDLER} in {package / 'lua'}: install the package again")


@click.command("lua-path", epilog=exits.EPILOG)
@json_option
def lua_path(as_json: bool) -> None:
    """Print what belongs into `lua_package_path` of kong.conf, so that Kong finds reader and guard.

    In the environment: KONG_LUA_PACKAGE_PATH="$(yeastarctl lua-path)".
    """
    root = lua_root()
    value = f"{root}/?.lua;{root}/?/init.lua;;"
    terminal = Terminal(as_json)
    terminal.document({"lua_package_path": value, "root": str(root)})
    terminal.say(value)
