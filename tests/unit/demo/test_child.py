from __future__ import annotations

import os
import signal
import sys

import psutil
import pytest

from kong.embedded.child import Child, ChildError
from tests.harness.gateway import wait_until
from tests.harness.stub import ROOT

SLEEPER = "import time; print('ready at last', flush=True); time.sleep(600)"


@pytest.fixture
def start(tmp_path):
    children = []

    def start(code, **options):
        child = Child("a child", [sys.executable, "-c", code], log=tmp_path / "log", **options)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_child_is_waited_for_until_it_says_that_it_is_ready(start):
    assert start(SLEEPER).wait_for(r"^ready at (\w+)$", 30)[1] == "last"


def test_a_child_that_ends_too_soon_is_told_with_its_last_words(start):
    with pytest.raises(ChildError, match=r"status 3.*\n.*no such luck"):
        start("print('no such luck'); raise SystemExit(3)").wait_for("^ready", 30)


def test_a_child_that_is_not_ready_in_time_is_stopped(start):
    child = start(SLEEPER)
    with pytest.raises(ChildError, match="not ready after 0"):
        child.wait_for("^never$", 0.2)
    assert not child.alive


def test_half_a_line_is_none(start):
    child = start("import time; print('ready at', end='', flush=True); time.sleep(600)")
    wait_until(lambda: child.output() == "ready at", 30, "half a line")
    with pytest.raises(ChildError, match="not ready after 0"):
        child.wait_for("^ready", 0.2)


def test_the_last_words_before_the_end_are_not_missed(start):
    assert start("print('ready')").wait_for("^ready$", 30)


def test_a_child_that_ignores_being_asked_is_killed(start):
    child = start(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}")
    child.wait_for("^ready", 30)
    assert child.stop(0.2) == -signal.SIGKILL


def test_a_suspended_child_can_be_stopped(start):
    child = start(SLEEPER)
    child.wait_for("^ready", 30)
    child.suspend()
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED, 10, "a stopped process")
    assert child.stop() == -signal.SIGTERM


def test_grandchildren_go_with_the_child(start):
    child = start(
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]).pid, flush=True);"
        + SLEEPER
    )
    grandchild = int(child.wait_for(r"^(\d+)$", 30)[1])
    child.stop()
    wait_until(lambda: gone(grandchild), 10, "the grandchild's end")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_a_child_ends_with_its_parent_even_when_that_is_killed(start, tmp_path):
    parent = start(
        "import sys, time; from pathlib import Path; from kong.embedded.child import Child;"
        f"child = Child('c', [sys.executable, '-c', {SLEEPER!r}], log=Path({str(tmp_path / 'inner')!r}));"
        "child.wait_for('^ready', 30); print(child.pid, flush=True); time.sleep(600)",
        directory=ROOT,
    )
    child = int(parent.wait_for(r"^(\d+)$", 30)[1])
    os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: gone(child), 10, "the child's end")
