-- Reader and guard, for those who install Lua by rocks; the adapter itself is a Python package of the same version.
package = "kong-plugin-yeastar-adapter"
version = "0.2.0-1"
rockspec_format = "3.0"
source = { url = "." }
description = {
  summary = "The Lua plugins yeastar-reader and yeastar-guard of kong-yeastar-adapter",
  license = "Apache-2.0",
}
dependencies = { "lua >= 5.1" }
build = {
  type = "builtin",
  modules = {
    ["kong.plugins.yeastar-reader.answer"] = "kong/plugins/yeastar-reader/answer.lua",
    ["kong.plugins.yeastar-reader.exchange"] = "kong/plugins/yeastar-reader/exchange.lua",
    ["kong.plugins.yeastar-reader.forwarding"] = "kong/plugins/yeastar-reader/forwarding.lua",
    ["kong.plugins.yeastar-reader.handler"] = "kong/plugins/yeastar-reader/handler.lua",
    ["kong.plugins.yeastar-reader.schema"] = "kong/plugins/yeastar-reader/schema.lua",
    ["kong.plugins.yeastar-guard.handler"] = "kong/plugins/yeastar-guard/handler.lua",
    ["kong.plugins.yeastar-guard.schema"] = "kong/plugins/yeastar-guard/schema.lua",
  },
}
