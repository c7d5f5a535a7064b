"""The way of a request: routing, the phases of the plugins, the service behind, and what each worker has to itself.

Stands for kong/runloop/handler.lua, kong/init.lua, kong/router and kong/runloop/balancer.
"""
