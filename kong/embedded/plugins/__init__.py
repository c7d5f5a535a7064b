"""Plugins: bundled ones, pre-function and post-function, plugins in Lua, plugins of other processes with their RPC.

Stands for kong/plugins, kong/db/dao/plugins.lua (what a handler must be) and kong/runloop/plugin_servers.
"""
