"""Files of a replay in Kong's prefix, which is the plugin server's working directory."""

RECORD = "rpc.jsonl"
"""Every message in both directions."""

HOLD = "hold"
"""While it is there, a plugin server that starts does not listen yet."""
