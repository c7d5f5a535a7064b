"""Measurements of the plugin server.

`python -m bench` compares it with kong-pdk's servers, `python -m bench.soak` soaks it.
"""
