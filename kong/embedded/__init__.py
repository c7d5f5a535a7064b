"""A small stand-in for Kong 3.9.1: one process that serves kong.yml to an external plugin and its neighbours.

It answers requests, speaks with plugin servers and runs Lua as Kong does, including where Kong is odd; `tests/fidelity`
replays recordings of a real Kong against it. It is for development and tests: HTTP/1.1, no database,
no clustering, and of the bundled plugins only those in `plugins.bundled`.

Imports go one way: `gateway` > `runloop` > `plugins` > `pdk` > `http` > the modules beside this file that say what a
phase, a Lua value, a setting and a log line are. `admin_api` stands beside them, on the configuration alone.
"""
