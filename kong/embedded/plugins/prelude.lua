-- What Lua code sees: `kong`, `ngx`, Kong's sandbox around them for pre-function and post-function, and for plugins
-- of their own the modules that they may require.
-- `host` is the gateway: every function of it takes and returns plain values; a false first result is an error text.

local host = ...

local setmetatable, type, error, pairs, ipairs, tostring, select = setmetatable, type, error, pairs, ipairs, tostring, select
local create, resume, yield, status = coroutine.create, coroutine.resume, coroutine.yield, coroutine.status

local rawget, rawset, getmetatable, newproxy = rawget, rawset, getmetatable, newproxy

local END_OF_PHASE, WANTS_BODY = {}, {}
local null = newproxy() -- ngx.null and cjson.null

-- What Lua code keeps for the request whose turn it is: the tables behind ngx.ctx, kong.ctx.shared and kong.ctx.plugin.
-- They are Lua's own, so that any key and any value, a function even, comes back as it was put in.
local current, plugin_id

local function checked(level, ok, ...)
  if ok == true then
    return ...
  end
  if ok == nil then -- the phase is over: nothing after this call runs
    return yield(END_OF_PHASE)
  end
  return error((...), level)
end

local function bind(name)
  local call, reads_body = host.pdk(name)
  if not reads_body then
    return function(...)
      return checked(1, call(...))
    end
  end
  return function(...)
    if host.waits_for_body() then -- whoever runs the code reads it, and lets the code go on
      yield(WANTS_BODY)
    end
    return checked(1, call(...))
  end
end

local header_table = {
  __index = function(t, name)
    if type(name) ~= "string" then
      return nil
    end
    return rawget(t, (name:lower():gsub("_", "-")))
  end,
}

local array_mt = {}

local function with_header_names(f)
  return function(...)
    local result, err = f(...)
    if type(result) == "table" then
      setmetatable(result, header_table)
    end
    return result, err
  end
end

-- A table whose fields live in the gateway.
local function proxy(get, set)
  return setmetatable({}, {
    __index = function(_, key)
      return checked(2, get(key))
    end,
    __newindex = function(_, key, value)
      checked(2, set(key, value))
    end,
  })
end

-- kong

local kong = {}

for _, name in ipairs(host.pdk_names()) do
  local target, last = kong, nil
  for part in name:sub(6):gmatch("[^.]+") do
    if last then
      target[last] = target[last] or {}
      target = target[last]
    end
    last = part
  end
  target[last] = bind(name)
end

for _, owner in ipairs { kong.request, kong.response } do
  owner.get_headers = with_header_names(owner.get_headers)
end

do -- of a buffered answer Kong gives a table that knows names, and lists none
  local get_headers = kong.service.response.get_headers
  kong.service.response.get_headers = function(...)
    local headers = get_headers(...)
    if not current.ctx.buffered_headers then
      return headers
    end
    return setmetatable({}, {
      __index = function(_, name)
        if type(name) == "string" then
          return checked(2, host.service_header(name))
        end
      end,
    })
  end
end

kong.version = "3.9.1"
kong.version_num = 3009001
kong.log = setmetatable(kong.log, {
  __call = function(_, ...)
    return kong.log.notice(...)
  end,
})
kong.ctx = setmetatable({}, {
  __index = function(_, name)
    if name == "shared" then
      return current.shared
    elseif name == "plugin" then
      local kept = current.plugin[plugin_id]
      if not kept then
        kept = {}
        current.plugin[plugin_id] = kept
      end
      return kept
    end
  end,
})
kong.configuration = setmetatable({}, { __index = function(_, key) return checked(2, host.setting(key)) end })
kong.default_workspace = "0dc6f45b-8f8d-40d2-a504-473544ee190b"
-- ngx

local ngx = {
  OK = 0, ERROR = -1, AGAIN = -2, DONE = -4, DECLINED = -5,
  STDERR = 0, EMERG = 1, ALERT = 2, CRIT = 3, ERR = 4, WARN = 5, NOTICE = 6, INFO = 7, DEBUG = 8,
  HTTP_OK = 200, HTTP_CREATED = 201, HTTP_ACCEPTED = 202, HTTP_NO_CONTENT = 204,
  HTTP_MOVED_PERMANENTLY = 301, HTTP_MOVED_TEMPORARILY = 302, HTTP_NOT_MODIFIED = 304,
  HTTP_BAD_REQUEST = 400, HTTP_UNAUTHORIZED = 401, HTTP_FORBIDDEN = 403, HTTP_NOT_FOUND = 404,
  HTTP_NOT_ALLOWED = 405, HTTP_TOO_MANY_REQUESTS = 429, HTTP_INTERNAL_SERVER_ERROR = 500,
  HTTP_BAD_GATEWAY = 502, HTTP_SERVICE_UNAVAILABLE = 503, HTTP_GATEWAY_TIMEOUT = 504,
  HTTP_GET = "GET", HTTP_HEAD = "HEAD", HTTP_PUT = "PUT", HTTP_POST = "POST", HTTP_DELETE = "DELETE",
  HTTP_OPTIONS = "OPTIONS", HTTP_PATCH = "PATCH",
  null = null,
  shared = {}, timer = {}, socket = {}, -- Kong has more here; nothing of it works in the embedded gateway
  config = { subsystem = "http", nginx_version = 1025003, ngx_lua_version = 10026 },
}

local function ngx_function(name)
  return bind("ngx." .. name)
end

ngx.var = proxy(host.var_get, host.var_set)

-- Kong's own entries of ngx.ctx live in the gateway.
local gateway_keys = host.context_keys
local context_mt = {
  __index = function(_, key)
    if gateway_keys[key] then
      return checked(2, host.ctx_get(key))
    end
  end,
  __newindex = function(t, key, value)
    if gateway_keys[key] then
      checked(2, host.ctx_set(key, value))
    else
      rawset(t, key, value)
    end
  end,
}

local function new_request()
  return { ctx = setmetatable({}, context_mt), shared = {}, plugin = {} }
end

ngx.header = proxy(host.header_get, host.header_set)
ngx.arg = proxy(host.arg_get, host.arg_set)

for _, name in ipairs {
  "now", "time", "encode_base64", "decode_base64", "md5", "get_phase", "exit", "print", "say", "log",
} do
  ngx[name] = ngx_function(name)
end

ngx.req = {}
for _, name in ipairs {
  "get_method", "get_headers", "set_header", "clear_header", "get_uri_args", "set_uri_args", "read_body",
  "get_body_data", "set_body_data",
} do
  ngx.req[name] = ngx_function("req." .. name)
end
ngx.req.get_headers = with_header_names(ngx.req.get_headers)

ngx.resp = { get_headers = with_header_names(ngx_function("resp.get_headers")) }

setmetatable(ngx, {
  __index = function(_, key)
    if key == "status" then
      return checked(2, host.status_get())
    elseif key == "headers_sent" then
      return checked(2, host.headers_sent())
    elseif key == "ctx" then
      return current.ctx
    end
  end,
  __newindex = function(t, key, value)
    if key == "status" then
      checked(2, host.status_set(value))
    elseif key == "ctx" then
      error("ngx.ctx as a whole cannot be replaced in the embedded gateway", 2)
    else
      rawset(t, key, value)
    end
  end,
})

-- The sandbox: what Kong's untrusted_lua = sandbox leaves.

local function only(module, names)
  local allowed = {}
  for _, name in ipairs(names) do
    allowed[name] = module[name]
  end
  return setmetatable({}, {
    __index = allowed,
    __newindex = function(_, name)
      error("Can not modify " .. tostring(name) .. ". Protected by the sandbox.")
    end,
  })
end

local BASE = {
  _VERSION = _VERSION, assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, pcall = pcall,
  select = select, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack, xpcall = xpcall,
  coroutine = only(coroutine, { "create", "resume", "running", "status", "wrap", "yield" }),
  math = only(math, {
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "fmod", "floor", "frexp", "huge",
    "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "random", "sin", "sinh", "sqrt", "tan", "tanh",
  }),
  os = only(os, { "clock", "date", "difftime", "time" }),
  string = only(string, {
    "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper",
  }),
  table = only(table, { "concat", "insert", "maxn", "remove", "sort" }),
  require = function(name)
    error("require '" .. tostring(name) .. "' not allowed within sandbox")
  end,
}

local function environment()
  local env = { kong = _G.kong, ngx = _G.ngx }
  for key, value in pairs(BASE) do
    env[key] = value
  end
  env._G = env
  return env
end

-- runner(body) → run. run(request, plugin_id) → true and what `body` returned; or false and what it raised; or nil
-- and a thread that wants the request's body: run(request, plugin_id, thread) goes on with it.
local function runner(body)
  return function(request, id, thread)
    local outer_request, outer_id = current, plugin_id
    current, plugin_id = request, id
    thread = thread or create(body)
    local ok, result = resume(thread)
    current, plugin_id = outer_request, outer_id
    if not ok then
      return false, tostring(result)
    elseif result == WANTS_BODY then
      return nil, thread
    elseif result == nil or result == END_OF_PHASE then
      if result == nil and status(thread) == "suspended" then
        -- Kong leaves a handler that yields where it is, and goes on with the next plugin.
        host.end_of_handler()
      end
      return true
    end
    return true, result
  end
end

-- compile(text) → run, or false and a message. A chunk that returns a function is called once for it.
local function compile(text)
  local chunk, problem = load(text, nil, "t", environment())
  if not chunk then
    return false, problem
  end
  local first = true
  return runner(function()
    if not first then
      return chunk()
    end
    first = false
    local result = chunk()
    if type(result) == "function" then
      chunk = result
      return chunk()
    end
    return result
  end)
end

-- Plugins with a handler of their own: plain Lua, where a name that this gateway does not have is refused by name.

local function strict(path, module)
  local view = {}
  return setmetatable(view, {
    __index = function(_, name)
      local value = module[name]
      if value == nil then
        error(path .. "." .. tostring(name) .. " is not supported by the embedded gateway", 2)
      end
      return value
    end,
    __newindex = function(_, name, value)
      module[name] = value
    end,
    __call = function(_, ...)
      return module(...)
    end,
  })
end

-- A copy of `module` whose tables of functions are strict. Those with a metatable answer for themselves.
local function strict_tree(path, module)
  local members = {}
  for name, value in pairs(module) do
    if type(value) == "table" and (getmetatable(value) == nil or value == kong.log) then
      members[name] = strict_tree(path .. "." .. name, value)
    end
  end
  return strict(path, setmetatable({}, {
    __index = function(_, name)
      return members[name] or module[name]
    end,
    __newindex = function(_, name, value)
      members[name] = nil
      module[name] = value
    end,
    __call = function(_, ...)
      return module(...)
    end,
  }))
end

local absent = { ctx = true, status = true, headers_sent = true } -- may be nil or false
do
  local view = strict_tree("ngx", ngx)
  _G.ngx = setmetatable({}, {
    __index = function(_, name)
      if absent[name] then
        return ngx[name]
      end
      return view[name]
    end,
    __newindex = function(_, name, value)
      ngx[name] = value
    end,
  })
end
local kongs_own = {}
for name in pairs(kong) do kongs_own[name] = true end
_G.kong = strict_tree("kong", kong)

local preload = package.preload

local function cjson_of(safe)
  local function outcome(ok, ...)
    if ok then
      return ...
    elseif safe then
      return nil, (...)
    end
    return error((...), 3)
  end
  local empty_array_mt = array_mt
  return strict(safe and "cjson.safe" or "cjson", {
    null = null,
    array_mt = array_mt,
    empty_array_mt = empty_array_mt,
    empty_array = setmetatable({}, array_mt),
    encode = function(value) return outcome(host.json_encode(value)) end,
    decode = function(text) return outcome(host.json_decode(text)) end,
    new = function() return cjson_of(safe) end,
  })
end

preload["cjson"] = function() return cjson_of(false) end
preload["cjson.safe"] = function() return cjson_of(true) end
preload["resty.random"] = function()
  return strict("resty.random", { bytes = function(count, _strong) return checked(2, host.random_bytes(count)) end })
end
preload["resty.string"] = function()
  return strict("resty.string", {
    to_hex = function(bytes)
      return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
    end,
  })
end
-- A definition of Kong's is a name here; the gateway has what it stands for.
preload["kong.db.schema.typedefs"] = function()
  local definition_mt = {
    __call = function(definition, changes)
      local changed = {}
      for key, value in pairs(definition) do changed[key] = value end
      for key, value in pairs(changes or {}) do changed[key] = value end
      return changed
    end,
  }
  return setmetatable({}, {
    __index = function(_, name)
      if not host.typedefs[name] then
        error("schema typedef error: definition " .. tostring(name) .. " is not supported by the embedded gateway", 2)
      end
      return setmetatable({ typedef = name }, definition_mt)
    end,
  })
end

package.path, package.cpath = host.package_path, ""
table.insert(package.loaders, function(name)
  return "\n\tthe embedded gateway has no module '" .. name .. "' of its own"
end)

-- load_plugin(name) → true, schema, handler; or false and a message.
local function load_plugin(name)
  return pcall(function()
    local base = "kong.plugins." .. name
    return require(base .. ".schema"), require(base .. ".handler")
  end)
end

-- method(handler, name, conf) → run, for one phase of one configured plugin; nil where the handler has none.
local function method(handler, name, conf)
  if type(handler[name]) ~= "function" then
    return nil
  end
  return runner(function()
    handler[name](handler, conf)
  end)
end

-- named(path, args) → run, for a function that a plugin has put under `kong`; nil where there is none.
local function named(path, args)
  local of_a_plugin = path:match("^kong%.([%w_]+)%.")
  if not of_a_plugin or kongs_own[of_a_plugin] then
    return nil
  end
  local found = { kong = kong }
  for part in path:gmatch("[%w_]+") do
    found = type(found) == "table" and rawget(found, part)
  end
  if type(found) ~= "function" then
    return nil
  end
  return runner(function()
    return found(unpack(args, 1, table.maxn(args)))
  end)
end

-- What crosses between Lua and the gateway.

local function as_array(t)
  return setmetatable(t, array_mt)
end

local function is_array(t)
  return getmetatable(t) == array_mt
end

return {
  compile = compile,
  new_request = new_request,
  load_plugin = load_plugin,
  method = method,
  named = named,
  as_array = as_array,
  is_array = is_array,
  null = null,
}
