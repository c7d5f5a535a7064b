"""A small stand-in for Kong 3.9.1: one process that serves kong.yml to an external plugin and its bundled neighbours.

It answers requests, speaks with plugin servers and runs Lua functions as Kong does, including where Kong is odd;
`tests/fidelity` replays recordings of a real Kong against it. It is for development and tests: no TLS towards
clients, no database, no clustering, and of the bundled plugins only those in `bundled`.
"""
