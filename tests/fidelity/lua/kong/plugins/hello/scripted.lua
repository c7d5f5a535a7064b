-- A plugin of a priority that runs the Lua of its configuration: {access = function(conf) … end, response = …}.
return function(priority)
  local handler = { PRIORITY = priority, VERSION = "1.0.0" }
  for _, phase in ipairs { "access", "response", "log" } do
    handler[phase] = function(_, conf)
      local called = conf.run and assert(load(conf.run, "=test"))()[phase]
      if called then
        called(conf)
      end
    end
  end
  return handler
end
