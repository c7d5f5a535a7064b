"""`yeastarctl verify`: is this key accepted?"""

import click

from . import exits
from .gateway import connect, gateway_options, report, show_refusal
from .pbx import Unreachable
from .terminal import Terminal, json_option, leave


@click.command("verify", epilog=exits.EPILOG)
@gateway_options
@json_option
def verify(url: str, key: str | None, timeout: float, ca: str | None, insecure: bool, as_json: bool) -> None:
    """Ask a gateway whether it accepts a PBX's key, as the PBX does when its channel is saved.

    Sends no message. A refusal is explained: what its code means, who can fix it, where to look.
    """
    terminal = Terminal(as_json)
    pbx = connect(url, key, timeout, ca, insecure)
    try:
        answer = pbx.verify()
    except Unreachable as error:
        terminal.document({"url": pbx.base, "ok": False, "unreachable": str(error)})
        terminal.mark("fail", f"No answer from {pbx.base}: {error}")
        leave(exits.UNREACHABLE)
        return
    terminal.document({"url": pbx.base, **report(answer)})
    if answer.status != 200:
        leave(show_refusal(terminal, answer))
        return
    terminal.mark("ok", f"{pbx.base} accepts the key", f"  ({answer.seconds * 1000:.1f} ms)")
