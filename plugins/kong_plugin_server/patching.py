"""gevent's stand-ins for what would hold up the event loop: sockets, locks, threads, time."""

from __future__ import annotations

from gevent import events, monkey


def patch_standard_library() -> None:
    """`gevent.monkey.patch_all()`, in a third of its time.

    At each of its twenty-five steps gevent reads the metadata of every installed package, for those that want to be
    called then. No other package has a say in what is patched here.
    """
    ask_packages = getattr(events, "notify_and_call_entry_points", None)
    if ask_packages is None:  # a gevent of another make: slower, and as good
        monkey.patch_all()
        return
    events.notify_and_call_entry_points = events.notify
    try:
        monkey.patch_all()
    finally:
        events.notify_and_call_entry_points = ask_packages
