"""A server for Kong plugins in Python: what kong-pdk's own does, in one event loop. Knows no particular plugin."""
