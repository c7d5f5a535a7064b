"""The process that Kong starts: command line, standard streams, exit status."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import sys
from collections.abc import Callable

from . import stderr
from .bounds import Bounds
from .command_line import NoPrefix, log_level, parse, socket_path
from .listener import CannotListen, Listener
from .process_tree import nginx_master
from .server import PluginSpec, Server
from .takeover import TakeoverRule

log = logging.getLogger(__name__)


def serve(
    spec: PluginSpec,
    argv: list[str] | None = None,
    bounds: Bounds | None = None,
    observe: Callable[[Server], object] | None = None,
    parent: int | None = None,
) -> int:
    """Do what the command line says: dump the plugin's description, or serve it until told to stop. Returns
    the exit status. `observe` is called with the server before it serves. `parent` is the process that this
    one ends with: the one that `os.getppid` names, as early as somebody could look.

    The process must have been monkey-patched by gevent before anything that uses sockets or threads was
    imported.
    """
    parent = parent or os.getppid()
    options = parse(spec.name, spec.version, argv)
    if options.dump:
        # A list, as of a server with several plugins; Kong reads its first element.
        sys.stdout.write(json.dumps([spec.describe()]))
        return 0
    stderr.take_over(log_level(options.verbose))
    _allow_many_descriptors()
    master = nginx_master(parent)
    try:
        path = socket_path(spec.name, options, os.environ, master)
        takeover = TakeoverRule(master or parent or None, options.take_over)
        server = Server(spec, bounds or Bounds(), Listener(path), takeover, parent)
        if observe is not None:
            observe(server)
        _keep_what_is_loaded()
        server.run()
    except (NoPrefix, CannotListen) as failure:
        sys.stderr.write(f"{spec.name}: {failure}\n")
        return 1
    log.info("stopped")
    return 0


def _keep_what_is_loaded() -> None:
    """A full collection that looks at all that is there now would hold the event loop up for 50 ms."""
    gc.collect()
    gc.freeze()


def _allow_many_descriptors() -> None:
    """Kong opens a connection for every request that it has under way."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as refusal:
        log.debug("the limit of open files stays as it is: %s", refusal)
