"""Colour on a terminal, none elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]")


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What yeastarctl writes where its standard output is a terminal."""
    ours, theirs = pty.openpty()
    clean = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "yeastarctl", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**clean, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:
        pass  # Linux says "input/output error" when the other side is closed
    finally:
        os.close(ours)
        process.wait(timeout=30)
    return written.decode()


def test_a_terminal_gets_colour() -> None:
    assert COLOUR.search(on_a_terminal("key", "new", "--consumer", "acme"))


def test_no_color_is_honoured() -> None:
    shown = on_a_terminal("key", "new", "--consumer", "acme", NO_COLOR="1")
    assert "ystr_acme_" in shown
    assert not COLOUR.search(shown)


def test_a_key_is_never_broken_over_two_lines() -> None:
    shown = on_a_terminal(
        "key", "new", "--consumer", "a-customer-with-quite-a-long-name", COLUMNS="40", NO_COLOR="1"
    )
    assert re.search(r"ystr_a_customer_with_quite_a_long_name_[\w-]{43}\b", shown)
