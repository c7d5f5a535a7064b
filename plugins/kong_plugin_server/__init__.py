"""A server for Kong plugins in Python: what kong-pdk's own does, in one event loop. Knows no particular plugin.

    from gevent import monkey

    monkey.patch_all()

    import sys
    from kong_plugin_server import PluginSpec, serve

    class Hello:
        def __init__(self, config):
            self.greeting = config["greeting"]

        def access(self, kong):
            kong.response.exit(200, f"{self.greeting}, {kong.request.get_host()}!")

    schema = [{"greeting": {"type": "string", "default": "Hello"}}]
    sys.exit(serve(PluginSpec(Hello, name="hello", version="1.0.0", priority=10, schema=schema)))

The manual is docs/plugin-server.md.
"""

from .limits import Limits
from .pdk import Kong, PDKError
from .plugin_spec import PluginSpec
from .process import serve

__all__ = ["Kong", "Limits", "PDKError", "PluginSpec", "serve"]
