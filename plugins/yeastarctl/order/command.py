"""The command `yeastarctl order`."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import click
from yeastar_adapter.futuresms.merchant import Account

from .. import exits
from ..check.environment import Variables
from ..check.sources import read
from ..doctor.configured import Configured
from ..terminal import Terminal, json_option, leave
from .logged import Log, Logged
from .lookup import Ledger, Ledgers, Unreachable
from .tracked import Tracked

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_KONG_YML = "kong.yml"


@dataclass
class Wanted:
    """An id that was given, and what the log knows of it."""

    given: str
    logged: Logged | None
    tracked: Tracked | None = None

    @property
    def order_id(self) -> str:
        """FutureSMS's id; "" where nobody knows it."""
        return self.logged.order_id if self.logged else self.given


@click.command("order", epilog=exits.EPILOG)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--request-id",
    "request_ids",
    multiple=True,
    metavar="ID",
    help="What a PBX's answer carried as X-Kong-Request-Id; --log has to know it. May be repeated.",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.File(errors="replace"),
    help="The adapter's log, or Kong's error log; - for standard input. May be repeated.",
)
@click.option(
    "--config",
    "files",
    multiple=True,
    type=_FILE,
    help=f"Take address and account from here. Default: {_KONG_YML}, if it is there. May be repeated.",
)
@click.option(
    "--env-file", type=_FILE, help="Take Kong's environment variables from this file as well (.env)."
)
@click.option("--consumer", metavar="NAME", help="Only the account of this consumer. Default: all, in turn.")
@click.option("--futuresms-url", metavar="URL", help="FutureSMS's address, instead of the file's.")
@click.option("--username", metavar="USER", help="The account's user, instead of the file's.")
@click.option(
    "--password-file",
    type=click.File(),
    help="The password of that user, in a file; - for standard input. Without it a terminal asks.",
)
@click.option("--watch", is_flag=True, help="Repeat until the outcome is final.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="Between two queries.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="Stop repeating after this time.",
)
@click.option("--show-text", is_flag=True, help="Show the text of the message.")
@click.option("--show-number", is_flag=True, help="Show the whole number of the recipient.")
@json_option
def order(
    ids: tuple[str, ...],
    request_ids: tuple[str, ...],
    logs: tuple[IO[str], ...],
    files: tuple[Path, ...],
    env_file: Path | None,
    consumer: str | None,
    futuresms_url: str | None,
    username: str | None,
    password_file: IO[str] | None,
    watch: bool,
    interval: float,
    patience: float,
    show_text: bool,
    show_number: bool,
    as_json: bool,
) -> None:
    """What became of messages: accepted, charged, delivered, or not and why.

    ID is FutureSMS's order id, which the PBX got as `data.id`. With --log it may also be a `client_order_id`, and
    --request-id goes from the X-Kong-Request-Id of a PBX's answer to its order. The log has the pair in the line of a
    delivery report, and at `log.level: debug` of each accepted message.
    """
    if not ids and not request_ids:
        raise click.UsageError("which order? Give an order id, or --request-id with --log.")
    if request_ids and not logs:
        raise click.UsageError(
            "--request-id needs --log: only the adapter's log knows which order it became."
        )
    terminal = Terminal(as_json)
    accounts = _accounts(files, env_file, consumer, futuresms_url, username, password_file)
    log = Log(line for source in logs for line in source)
    wanted = [Wanted(one, log.find(one)) for one in ids]
    wanted += [Wanted(one, log.find(one) or Logged(one)) for one in request_ids]
    ledgers = Ledgers([Ledger(account) for account in accounts])
    try:
        _follow(
            ledgers, wanted, interval if watch else None, patience, _printer(terminal, show_text, show_number)
        )
    finally:
        ledgers.close()
    for problem in ledgers.problems:
        terminal.note(str(problem))
    found = all(one.tracked for one in wanted)
    rows = [_row(one, show_text, show_number) for one in wanted]
    terminal.document({"ok": found, "orders": rows, "problems": [str(one) for one in ledgers.problems]})
    if not found:
        away = any(isinstance(problem, Unreachable) for problem in ledgers.problems)
        leave(exits.UNREACHABLE if away else exits.FOUND)


def _follow(
    ledgers: Ledgers,
    wanted: Sequence[Wanted],
    interval: float | None,
    patience: float,
    show: Callable[[Wanted], None],
) -> None:
    """Look every order up, and with an interval again until it has come to its end."""
    until = time.monotonic() + patience
    shown: dict[int, str] = {}
    while True:
        for index, one in enumerate(wanted):
            if one.tracked and one.tracked.final:
                continue
            if one.order_id:
                one.tracked = ledgers.find(one.order_id) or one.tracked
            state = one.tracked.state if one.tracked else "not found"
            if shown.get(index) != state:
                shown[index] = state
                show(one)
        open_orders = any(one.tracked and not one.tracked.final for one in wanted)
        if interval is None or not open_orders or time.monotonic() + interval > until:
            return
        time.sleep(interval)


def _printer(terminal: Terminal, show_text: bool, show_number: bool) -> Callable[[Wanted], None]:
    def show(one: Wanted) -> None:
        name = one.given if one.given == one.order_id or not one.order_id else f"{one.given} → {one.order_id}"
        if one.tracked is None:
            terminal.mark("fail", f"{name}: ", _why_not(one))
            return
        headline, details = one.tracked.lines(show_text, show_number)
        mark = "ok" if one.tracked.state == "delivered" else "fail" if one.tracked.final else "skip"
        terminal.mark(mark, f"{name}: ", headline)
        for line in details:
            terminal.say(f"    {line}", style="dim")

    return show


def _row(one: Wanted, show_text: bool, show_number: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"id": one.given, "found": one.tracked is not None}
    if one.logged:
        row["request_id"] = one.logged.request_id or None
    if one.tracked is None:
        return {**row, "why": _why_not(one)}
    return {**row, **one.tracked.report(show_text, show_number)}


def _why_not(one: Wanted) -> str:
    """Why there is no order to be shown."""
    logged = one.logged
    if logged is None or logged.order_id:
        return "FutureSMS knows no such order in these accounts"
    if logged.refusal:
        return f"it became no order: the PBX got {logged.refusal}"
    if logged.client_order_id:
        return f"forwarded as client_order_id {logged.client_order_id}; the log does not know which order it became"
    return "the log does not know it: log.level debug has a line of each message, and info of each delivery report"


def _accounts(
    files: tuple[Path, ...],
    env_file: Path | None,
    consumer: str | None,
    url: str | None,
    username: str | None,
    password_file: IO[str] | None,
) -> list[Account]:
    """The accounts to ask."""
    if username is not None:
        password = password_file.read().strip() if password_file else None
        if password is None:
            password = click.prompt(f"Password of {username}", hide_input=True, err=True)
    elif password_file is not None:
        raise click.UsageError("--password-file goes with --username.")
    if username is not None and url is not None:
        return [Account(url, username, str(password))]
    if not files:
        if not Path(_KONG_YML).is_file():
            raise click.UsageError(
                "which account? Give --config kong.yml, or --futuresms-url and --username."
            )
        files = (Path(_KONG_YML),)
    sources = read([(str(path), path.read_bytes()) for path in files])
    configured = Configured(sources.root, Variables.of_kong(os.environ, env_file))
    changed = [
        replace(
            account,
            base_url=url or account.base_url,
            username=username or account.username,
            password=account.password if username is None else str(password),
        )
        for account in configured.accounts(consumer)
    ]
    if not changed:
        whose = f" for consumer {consumer}" if consumer else ""
        raise click.UsageError(
            f"{', '.join(map(str, files))}: no complete FutureSMS account{whose}: address, username and password"
            " (are the variables of its vault references set? --env-file FILE)"
        )
    return list(dict.fromkeys(changed))
