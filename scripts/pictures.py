"""The pictures of docs/images."""

from __future__ import annotations

from collections.abc import Callable

from drawing import AMBER, BLUE, GREEN, GREY, INK, PAPER, RED, SOFT, Drawing


def request() -> Drawing:
    """The way of one message, top to bottom."""
    d = Drawing(980, 896, "The way of a message: from the PBX to an order and back")
    lanes = {"pbx": 90, "kong": 335, "adapter": 590, "redis": 760, "sms": 900}
    heads = {
        "pbx": (["Yeastar PBX"], GREY),
        "kong": (["Kong", "nginx worker"], BLUE),
        "adapter": (["yeastar-adapter", "plugin server"], GREEN),
        "redis": (["Redis"], AMBER),
        "sms": (["FutureSMS"], GREY),
    }
    for lane, x in lanes.items():
        lines, fill = heads[lane]
        width = 150 if lane in ("kong", "adapter") else 112
        d.line(x, 64, x, 884, dashed=True)
        d.label(x - width / 2, 16, width, 48, lines, fill)

    y = 98.0  # the base line of the next arrow

    def call(source: str, target: str, text: str, *, mono: bool = False, answer: bool = False) -> None:
        nonlocal y
        x1, x2 = lanes[source], lanes[target]
        step = 6 if x2 > x1 else -6
        d.arrow((x1 + step, y), (x2 - step, y), dashed=answer)
        d.words((x1 + x2) / 2, y - 7, text, size=12, mono=mono, anchor="middle", halo=True)
        y += 30

    def note(lane: str, lines: list[str], fill: str = PAPER, width: float = 224) -> None:
        nonlocal y
        x, top = lanes[lane] - width / 2, y - 14
        d.box(x, top, width, 16 + 16 * len(lines), fill)
        for number, line in enumerate(lines):
            bold, colour = number == 0, INK if number == 0 else SOFT
            d.words(x + 10, top + 20 + 16 * number, line, size=12, bold=bold, colour=colour)
        y += 28 + 16 * len(lines)

    call("pbx", "kong", "POST …/sendmessage, Bearer key", mono=True)
    note("kong", ["1 yeastar-reader", "takes key, body and headers off", "body not whole → 10002"], RED)
    call("kong", "adapter", "access")
    note("adapter", ["2 who is it?", "SHA-256 of the key → consumer", "switched off → 10005"])
    call("adapter", "redis", "3 its rate")
    call("redis", "adapter", "counted", answer=True)
    note("adapter", ["4 what does it say?", "media, numbers, text", "→ sender, template, order"])
    call("adapter", "sms", "5 login, if there is no token")
    call("adapter", "kong", "decision: order, path, token")
    note(
        "kong",
        ["6 yeastar-guard", "is there a decision for this", "request? else 10007", "writes the order"],
        RED,
    )
    call("kong", "sms", "7 POST /api/v1/sms/sends, Bearer access token", mono=True)
    call("sms", "kong", "202 order id, or an error", answer=True)
    call("kong", "adapter", "response")
    note("adapter", ["8 what does it mean?", "order id, or one of seven codes", "401: new token, once more"])
    call("adapter", "kong", "exit", answer=True)
    note(
        "kong",
        ["9 reader and guard", "Kong's own errors in Yeastar's", "form; foreign headers removed"],
        RED,
    )
    call("kong", "pbx", '200 {"data": {"id": …}}, or an error', answer=True, mono=True)
    return d


def processes() -> Drawing:
    """What runs, and through what it talks."""
    d = Drawing(980, 560, "The processes of a gateway and the connections between them")
    d.label(20, 200, 130, 64, ["Yeastar PBX", "one key each"], GREY)
    d.box(196, 40, 590, 372, PAPER, dashed=True)
    d.words(212, 62, "Kong node", bold=True, colour=SOFT)
    d.box(220, 80, 210, 316, BLUE)
    d.words(236, 104, "Kong: nginx", bold=True)
    for number in range(3):
        y = 120 + number * 72
        d.label(
            240,
            y,
            170,
            54,
            [f"worker {number + 1}" if number < 2 else "worker n", "reader, guard, proxy"],
            PAPER,
        )
    d.words(236, 356, "kong.yml, or a database", size=12, colour=SOFT)
    d.words(236, 376, "starts the process beside it", size=12, colour=SOFT)
    d.box(536, 80, 234, 316, GREEN)
    d.words(552, 104, "yeastar-adapter", bold=True)
    d.words(552, 122, "one process a node, Python, gevent", size=11, colour=SOFT)
    parts = (
        ("instances", "one a worker and configuration"),
        ("key table", "shared by the instances"),
        ("FutureSMS sessions", "one an account"),
        ("limiter", "one a Redis server"),
    )
    for number, (name, what) in enumerate(parts):
        d.label(552, 134 + number * 63, 202, 52, [name, what], PAPER, size=12)
    for number in range(3):
        y = 147 + number * 72
        d.arrow((410, y), (484, y), (484, 219), (532, 219))
    d.words(483, 322, "Unix socket", size=11, anchor="middle")
    d.words(483, 338, "in the prefix,", size=11, anchor="middle")
    d.words(483, 354, "MessagePack", size=11, anchor="middle")
    d.arrow((150, 232), (236, 232))
    d.words(193, 222, "HTTPS", size=12, anchor="middle", halo=True)
    d.label(836, 96, 130, 64, ["FutureSMS", "Merchant API"], GREY)
    d.label(836, 330, 130, 64, ["Redis", "counters only"], AMBER)
    d.label(836, 212, 130, 64, ["Prometheus", "if switched on"], GREY)
    d.arrow((754, 350), (832, 350))
    d.words(803, 340, "counts", size=11, anchor="middle", halo=True)
    d.arrow((754, 286), (804, 286), (804, 128), (832, 128))
    d.words(804, 190, "login", size=11, anchor="middle", halo=True)
    d.arrow((836, 244), (774, 244), dashed=True)
    d.arrow((325, 80), (325, 22), (901, 22), (901, 92))
    d.words(610, 16, "orders, proxied by Kong", size=12, anchor="middle", halo=True)
    d.box(196, 440, 590, 44, PAPER, dashed=True)
    d.words(
        480, 467, "further Kong nodes: the same, each with a process of its own", colour=SOFT, anchor="middle"
    )
    d.arrow((786, 462), (901, 462), (901, 398))
    d.words(20, 520, "Shared by all nodes: the counters in Redis.", size=12, colour=SOFT)
    d.words(
        20,
        540,
        "Of one node: instances, key table, sessions, and the local counters while Redis is away.",
        size=12,
        colour=SOFT,
    )
    return d


def _page(d: Drawing, width: int, height: int, tab: str) -> None:
    """The frame of the PBX's dialogue, in outline."""
    d.box(0.5, 0.5, width - 1, height - 1, PAPER, round_=8)
    d.box(0.5, 0.5, width - 1, 44, GREY, round_=8)
    d.words(20, 28, "Messaging  ›  Message Channel  ›  Add  ›  SMS", bold=True)
    for number, name in enumerate(("Authentication", "Messaging Settings")):
        x, chosen = 20 + number * 160, name == tab
        d.words(x, 74, name, bold=chosen, colour="#1d4ed8" if chosen else SOFT)
        if chosen:
            d.line(x, 82, x + (106 if number == 0 else 138), 82, colour="#1d4ed8")
    d.line(0, 90, width, 90)


def _field(
    d: Drawing, y: float, number: int, name: str, value: str, *, width: int = 528, choice: bool = False
) -> None:
    d.dot(32, y + 20, number)
    d.words(54, y + 25, name)
    d.box(292, y, width, 36, PAPER, round_=4)
    d.words(304, y + 24, value, mono=True, size=12)
    if choice:
        d.words(292 + width - 22, y + 23, "▾", colour=SOFT)


def authentication() -> Drawing:
    """The first tab of the channel."""
    d = Drawing(840, 424, "The tab Authentication of an SMS channel")
    _page(d, 840, 424, "Authentication")
    base = "https://…/api/v1/integration/yeastar/sms"
    fields = (
        ("Name", "FutureSMS", False),
        ("ITSP", "General", True),
        ("API Key", "••••••••••••••••••••", False),
        ("Send Message URL", f"{base}/sendmessage", False),
        ("Authentication Verification URL", f"{base}/verify", False),
        ("Secret", "", False),
    )
    for number, (name, value, choice) in enumerate(fields):
        _field(d, 108 + number * 50, number + 1, name, value, choice=choice)
    return d


def messaging() -> Drawing:
    """The second tab of the channel."""
    d = Drawing(840, 330, "The tab Messaging Settings of an SMS channel")
    _page(d, 840, 330, "Messaging Settings")
    _field(d, 108, 7, "Message Sending Rate", "5", width=120)
    d.words(424, 132, "messages a second", colour=SOFT)
    d.dot(32, 186, 8)
    d.words(54, 191, "Number")
    d.box(20, 208, 800, 34, GREY, round_=4)
    columns = ((36, "Number"), (250, "Message Destination"), (500, "May start a session"))
    for x, name in columns:
        d.words(x, 230, name, bold=True, size=12)
    d.box(20, 242, 800, 36, PAPER, round_=4)
    for x, value in ((36, "+…"), (250, "Message queue: Reception"), (500, "Extensions 1000–1010")):
        d.words(x, 265, value, size=12, mono=x == 36)
    d.box(20, 290, 64, 26, PAPER, round_=4)
    d.words(52, 308, "+ Add", size=12, anchor="middle", colour="#1d4ed8")
    return d


def values() -> Drawing:
    """Which value of kong.yml belongs to which field of the PBX."""
    d = Drawing(900, 380, "Which setting of the gateway belongs to which field of the PBX")
    d.box(16, 16, 400, 348, GREEN)
    d.words(32, 42, "kong.yml", bold=True, mono=True)
    d.box(560, 16, 324, 348, GREY)
    d.words(576, 42, "SMS channel of the PBX", bold=True)
    rows: tuple[tuple[str, str, str], ...] = (
        ('api_keys: ["sha256:75f7…"]', "API Key", "the key itself"),
        ("paths: […/sms/(verify|sendmessage)$]", "the two URLs", "host of the gateway + path"),
        ("rate_limit: {second: 5, minute: 300}", "Message Sending Rate", "5 or less: 300 ÷ 60"),
        ('senders: {"+63280000001": SID-1002}', "Number", "the same, in E.164"),
    )
    for number, (left, field, value) in enumerate(rows):
        y = 64 + number * 74
        d.box(32, y, 368, 48, PAPER, round_=4)
        d.words(44, y + 29, left, mono=True, size=12)
        d.box(576, y, 292, 48, PAPER, round_=4)
        d.words(588, y + 20, field, bold=True, size=12)
        d.words(588, y + 38, value, size=12, colour=SOFT)
        d.arrow((400, y + 24), (572, y + 24), both=True)
    for number, text in enumerate(("SHA-256 of", "served at", "not above", "by sender")):
        d.words(488, 82 + number * 74, text, size=12, anchor="middle", halo=True)
    return d


PICTURES: dict[str, Callable[[], Drawing]] = {
    "request": request,
    "processes": processes,
    "pbx-authentication": authentication,
    "pbx-messaging": messaging,
    "pbx-values": values,
}
