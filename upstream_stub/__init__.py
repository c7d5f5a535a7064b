"""A stand-in for the FutureSMS Merchant API, for demos, tests and benchmarks.

`python -m upstream_stub --listen 127.0.0.1:8080` serves the documented calls (login, refresh, me, logout,
sends, orders) with their field rules and both envelopes, and under `/__stub__/` the controls that make it
misbehave.
"""
