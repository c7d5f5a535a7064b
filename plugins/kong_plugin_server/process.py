"""The process that Kong starts: command line, standard streams, exit status."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import sys
from collections.abc import Callable

from gevent.monkey import is_module_patched

from . import stderr
from .command_line import NoPrefix, log_level, parse, socket_path
from .limits import Limits
from .listener import CannotListen, Listener
from .plugin_spec import PluginSpec
from .process_tree import nginx_master
from .server import Server
from .takeover import TakeoverRule

log = logging.getLogger(__name__)


def serve(
    spec: PluginSpec,
    argv: list[str] | None = None,
    limits: Limits | None = None,
    observe: Callable[[Server], object] | None = None,
    parent: int | None = None,
) -> int:
    """Do what the command line says: dump the plugin's description, or serve it until told to stop. Returns
    the exit status. `observe` is called with the server before it serves. `parent` is the process that this
    one ends with: the one that `os.getppid` names, as early as somebody could look.

    The process must have been monkey-patched by gevent before anything that uses sockets or threads was imported: a
    handler that waits would hold up all others. Raises RuntimeError where it has not.
    """
    stderr.reserve_standard_descriptors()
    parent = parent or os.getppid()
    options = parse(spec.name, spec.version, argv)
    if options.dump:
        # A list, as of a server with several plugins; Kong reads its first element.
        sys.stdout.write(json.dumps([spec.describe()]))
        return 0
    if not is_module_patched("socket"):
        raise RuntimeError(
            "gevent.monkey.patch_all() has to be called first, before anything else is imported"
        )
    stderr.redirect_log(log_level(options.verbose))
    _allow_many_descriptors()
    master = nginx_master(parent)
    try:
        path = socket_path(spec.name, options, os.environ, master)
        takeover = TakeoverRule(master or parent or None, options.take_over)
        server = Server(spec, limits or Limits(), Listener(path), takeover, parent)
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
        log.debug("the limit of open files cannot be raised: %s", refusal)
