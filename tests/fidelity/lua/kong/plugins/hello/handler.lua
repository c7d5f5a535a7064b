-- Greets whoever asks. `config.run` is Lua that a test wants to see run in the plugin: {phase = function(conf) … end}.
local words = require "kong.plugins.hello.words"

local Hello = { PRIORITY = 1005, VERSION = "1.2.3", loaded = 0 }

local function run(phase, conf)
  local called = conf.run and assert(load(conf.run, "=test"))()[phase]
  if called then
    called(conf)
  end
end

function Hello:init_worker()
  self.loaded = self.loaded + 1
  kong.log.notice("starts")
end

function Hello:access(conf)
  kong.ctx.plugin.greeting = conf.greeting .. words.between .. table.concat(conf.names, words.between)
  run("access", conf)
end

function Hello:header_filter(conf)
  kong.response.set_header("X-Hello", kong.ctx.plugin.greeting or "")
  kong.response.set_header("X-Loaded", self.loaded)
  run("header_filter", conf)
end

function Hello:body_filter(conf)
  run("body_filter", conf)
end

function Hello:log(conf)
  run("log", conf)
end

return Hello
