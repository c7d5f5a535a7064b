"""`yeastarctl send`: messages as a PBX sends them."""

import ipaddress
import sys
from urllib.parse import urlsplit

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from yeastar_adapter.yeastar import sms

from . import exits
from .gateway import connect, gateway_options, report, show_refusal
from .pbx import Pbx, Unreachable
from .terminal import Terminal, json_option, leave
from .volley import Tally, Volley


@click.command("send", epilog=exits.EPILOG)
@gateway_options
@click.option("--from", "sender", required=True, metavar="NUMBER", help="The PBX's number, E.164.")
@click.option("--to", "recipient", required=True, metavar="NUMBER", help="The recipient, E.164.")
@click.option("--text", required=True, help="The message.")
@click.option(
    "--media-url", "media", multiple=True, metavar="URL", help="Add media (the gateway refuses it)."
)
@click.option(
    "--count", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Messages to send."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    default=5,
    show_default=True,
    metavar="PER_SECOND",
    help="Messages a second at most.",
)
@click.option(
    "--connections", type=click.IntRange(1, 64), default=4, show_default=True, help="Messages at once."
)
@click.option("--yes", is_flag=True, help="Do not ask before sending several messages to another machine.")
@json_option
def send(
    url: str,
    key: str | None,
    timeout: float,
    ca: str | None,
    insecure: bool,
    sender: str,
    recipient: str,
    text: str,
    media: tuple[str, ...],
    count: int,
    rate: float,
    connections: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Send a message through a gateway, as a PBX does, and explain the answer.

    With --count it sends many at a steady rate and sums up answers and latencies. Every accepted message is
    a real order that somebody pays for, unless the gateway's FutureSMS is a stand-in: several messages to
    another machine than this one need a "yes" (or --yes).
    """
    terminal = Terminal(as_json)
    pbx = connect(url, key, timeout, ca, insecure)
    if count == 1:
        _one(terminal, pbx, sender, recipient, text, list(media))
        return
    if not yes and not is_loopback(pbx.base):
        _confirm(count, pbx.base, recipient)
    shown_key = key

    def another() -> Pbx:
        return connect(url, shown_key, timeout, ca, insecure)

    volley = Volley(count, rate, connections)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=terminal.err,
        disable=as_json or not terminal.err.is_terminal,
    ) as progress:
        task = progress.add_task("sending", total=count)
        tally = volley.run(
            another,
            lambda one: one.send(sender, recipient, text, list(media)),
            lambda: progress.advance(task),
        )
    leave(_many(terminal, pbx.base, count, tally))


def _one(terminal: Terminal, pbx: Pbx, sender: str, recipient: str, text: str, media: list[str]) -> None:
    try:
        answer = pbx.send(sender, recipient, text, media)
    except Unreachable as error:
        terminal.document({"url": pbx.base, "ok": False, "unreachable": str(error)})
        terminal.mark("fail", f"No answer from {pbx.base}: {error}")
        terminal.say("  The message may have been accepted all the same, if the connection was made.")
        leave(exits.UNREACHABLE)
        return
    size = sms.parts(text)
    terminal.document({"url": pbx.base, **report(answer), "sms": size._asdict()})
    if answer.status == 200 and answer.order_id:
        terminal.mark("ok", f"order {answer.order_id}", f"  ({answer.seconds * 1000:.1f} ms)")
        terminal.say(f"  the text takes {size.parts} SMS ({size.encoding}, {size.units} of {_room(size)})")
    else:
        leave(show_refusal(terminal, answer))


def _room(size: sms.Size) -> int:
    """What the SMS of a text hold together, in its units."""
    alone, joined = sms.CAPACITY[size.encoding]
    return alone if size.parts <= 1 else joined * size.parts


def _many(terminal: Terminal, base: str, count: int, tally: Tally) -> int:
    status = exits.OK
    if tally.accepted < count:
        status = exits.FOUND if tally.answers else exits.UNREACHABLE
    terminal.document({"url": base, "ok": status == exits.OK, "asked": count, **tally.report()})
    if terminal.as_json:
        return status
    figures = tally.report()
    terminal.mark(
        "ok" if status == exits.OK else "fail",
        f"{tally.accepted} of {count} messages accepted",
        f"  ({figures['elapsed_seconds']} s, {figures['messages_per_second']} a second)",
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("answer")
    table.add_column("messages", justify="right")
    for answer, messages in sorted(tally.answers.items()):
        table.add_row(answer, str(messages))
    if tally.unreachable:
        table.add_row("no answer", str(tally.unreachable))
    terminal.out.print(table)
    if figures["latency_ms"]:
        terminal.say("latency  " + "  ".join(f"{name} {ms} ms" for name, ms in figures["latency_ms"].items()))
    if tally.unreachable:
        terminal.say(f"\nNo answer from {base}: {tally.why_unreachable}")
    if tally.sent < count:
        terminal.say(f"Stopped after {tally.sent} messages.")
    if tally.first_refusal:
        terminal.say("\nThe first refusal:")
        show_refusal(terminal, tally.first_refusal)
    return status


def is_loopback(url: str) -> bool:
    """Whether a URL names this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _confirm(count: int, base: str, recipient: str) -> None:
    question = f"Send {count} real messages to {recipient} through {base}?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say so with --yes.")
    click.confirm(question, abort=True, err=True)
