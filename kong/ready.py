#!/opt/yeastar-adapter/bin/python
"""The image's health check: a configuration in every worker, and, where Kong runs the adapter, a plugin server.

`kong health` would be content with a running nginx. A request would tell as well, and fill the log.
"""

import os
import socket
import urllib.request

urllib.request.urlopen("http://127.0.0.1:8007/status/ready", timeout=5)
if os.environ.get("KONG_PLUGINSERVER_NAMES", "yeastar-adapter") == "yeastar-adapter":
    prefix = os.environ.get("KONG_PREFIX", "/usr/local/kong")
    socket.socket(socket.AF_UNIX).connect(f"{prefix}/yeastar-adapter.socket")
