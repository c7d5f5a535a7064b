"""The same plugin under kong-pdk's own server, for comparison.

`python -m bench.pdk_server -p PREFIX --no-lua-style [-g]`
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, NoReturn

if "-g" in sys.argv:
    from gevent import monkey

    monkey.patch_all()


class _Ended(BaseException):
    pass


def main() -> None:
    """Serve; kong-pdk's `kong.response.exit` returns, so what ends a handler there is added here."""
    from kong_pdk.cli import start_dedicated_server
    from yeastar_adapter import __version__
    from yeastar_adapter.call import Call
    from yeastar_adapter.handler import Plugin
    from yeastar_adapter.schema import NAME, PRIORITY, SCHEMA

    send_exit = Call._exit

    def exit_and_end(self: Call, *arguments: Any) -> NoReturn:
        try:
            send_exit(self, *arguments)
        except AssertionError:
            raise _Ended from None

    Call._exit = exit_and_end  # type: ignore[method-assign]

    class PdkPlugin(Plugin):
        def access(self, kong: Any) -> None:
            with contextlib.suppress(_Ended):
                super().access(kong)

        def response(self, kong: Any) -> None:
            with contextlib.suppress(_Ended):
                super().response(kong)

    start_dedicated_server(NAME, PdkPlugin, __version__, PRIORITY, SCHEMA)


if __name__ == "__main__":
    main()
