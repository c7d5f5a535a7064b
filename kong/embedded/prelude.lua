-- What Lua code of pre-function and post-function sees: `kong`, `ngx` and Kong's sandbox around them.
-- `host` is the gateway: every function of it takes and returns plain values; a false first result is an error text.

local host = ...

local setmetatable, type, error, pairs, ipairs, tostring, select = setmetatable, type, error, pairs, ipairs, tostring, select
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield

local END_OF_PHASE, WANTS_BODY = {}, {}

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
      return checked(3, call(...))
    end
  end
  return function(...)
    if host.waits_for_body() then -- whoever runs the code reads it, and lets the code go on
      yield(WANTS_BODY)
    end
    return checked(3, call(...))
  end
end

local rawget, getmetatable = rawget, getmetatable
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

kong.version = "3.9.1"
kong.version_num = 3009001
kong.log = setmetatable(kong.log, {
  __call = function(_, ...)
    return kong.log.notice(...)
  end,
})
kong.ctx = {
  shared = proxy(host.shared_get, host.shared_set),
  plugin = proxy(host.plugin_get, host.plugin_set),
}
kong.configuration = setmetatable({}, { __index = function(_, key) return checked(2, host.setting(key)) end })
kong.default_workspace = "0dc6f45b-8f8d-40d2-a504-473544ee190b"
kong.table = {
  new = function() return {} end,
  clear = function(t) for key in pairs(t) do t[key] = nil end end,
  merge = function(a, b)
    local merged = {}
    for key, value in pairs(a or {}) do merged[key] = value end
    for key, value in pairs(b or {}) do merged[key] = value end
    return merged
  end,
}

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
  null = host.null,
  shared = {}, timer = {}, socket = {}, -- Kong has more here; nothing of it works in the embedded gateway
  config = { subsystem = "http", nginx_version = 1025003, ngx_lua_version = 10026 },
}

local function ngx_function(name)
  return bind("ngx." .. name)
end

ngx.var = proxy(host.var_get, host.var_set)
ngx.ctx = proxy(host.ctx_get, host.ctx_set)
ngx.header = proxy(host.header_get, host.header_set)
ngx.arg = proxy(host.arg_get, host.arg_set)

for _, name in ipairs {
  "now", "time", "today", "localtime", "utctime", "update_time", "http_time", "cookie_time", "parse_http_time",
  "escape_uri", "unescape_uri", "encode_args", "decode_args", "encode_base64", "decode_base64", "md5", "md5_bin",
  "sha1_bin", "hmac_sha1", "crc32_short", "crc32_long", "get_phase", "exit", "print", "say", "log", "redirect",
} do
  ngx[name] = ngx_function(name)
end

ngx.req = {}
for _, name in ipairs {
  "get_method", "set_method", "get_headers", "set_header", "clear_header", "get_uri_args", "set_uri_args",
  "read_body", "get_body_data", "get_body_file", "set_body_data", "http_version", "start_time", "raw_header",
  "is_internal", "get_post_args",
} do
  ngx.req[name] = ngx_function("req." .. name)
end
ngx.req.get_headers = with_header_names(ngx.req.get_headers)

ngx.resp = {
  get_headers = with_header_names(ngx_function("resp.get_headers")),
  add_header = ngx_function("resp.add_header"),
}

ngx.worker = { pid = ngx_function("worker.pid"), id = ngx_function("worker.id"), count = ngx_function("worker.count") }

setmetatable(ngx, {
  __index = function(_, key)
    if key == "status" then
      return checked(2, host.status_get())
    elseif key == "headers_sent" then
      return checked(2, host.headers_sent())
    end
  end,
  __newindex = function(t, key, value)
    if key == "status" then
      checked(2, host.status_set(value))
    else
      rawset(t, key, value)
    end
  end,
})

do -- the parts of ngx.re that need no PCRE of their own
  ngx.re = {}
  for _, name in ipairs { "match", "find", "gsub", "sub" } do
    ngx.re[name] = ngx_function("re." .. name)
  end
end

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
  local env = { kong = kong, ngx = ngx }
  for key, value in pairs(BASE) do
    env[key] = value
  end
  env._G = env
  return env
end

-- compile(text) → run, or false and a message.
-- run() → true and what it returned; or false and what the code raised; or nil and a thread that wants the request's
-- body: run(thread) goes on with it. A chunk that returns a function is called once for it.
local function compile(text)
  local chunk, problem = load(text, nil, "t", environment())
  if not chunk then
    return false, problem
  end
  local first = true
  local function body()
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
  end
  return function(thread)
    thread = thread or create(body)
    local ok, result = resume(thread)
    if not ok then
      return false, tostring(result)
    elseif result == WANTS_BODY then
      return nil, thread
    elseif result == nil or result == END_OF_PHASE then
      return true
    end
    return true, result
  end
end

local function as_array(t)
  return setmetatable(t, array_mt)
end

local function is_array(t)
  return getmetatable(t) == array_mt
end

return compile, as_array, is_array
