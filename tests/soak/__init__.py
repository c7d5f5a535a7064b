"""A quarter of an hour near capacity while things break: `python -m tests.soak` (`make soak`).

PBXs send at a steady rate; meanwhile the configuration is loaded anew, Kong reloaded, Redis restarted, the plugin
server killed, tokens expire. What the PBXs were told is then held against what FutureSMS has, order by order.
"""
