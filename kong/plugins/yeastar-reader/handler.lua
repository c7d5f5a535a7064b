-- First of the three plugins: takes off the request everything that is the PBX's, and leaves it for the adapter.
-- Whatever is missing or dead after it, no key, text or number can reach the service.

local exchange = require "kong.plugins.yeastar-reader.exchange"
local answer = require "kong.plugins.yeastar-reader.answer"
local forwarding = require "kong.plugins.yeastar-reader.forwarding"

local kong = kong
local ngx = ngx

local ipairs = ipairs
local rep = string.rep

-- The agreement between reader, adapter and guard. Versions of the same interface work together, as they must during
-- `kong reload`, when old workers talk to a new plugin server.
local INTERFACE = 1
local VERSION = "0.2.0"

-- In bytes. A legal message, written as \uXXXX throughout, is 25 KB; an answer of FutureSMS a few hundred bytes.
local MAX_BODY = 65536

-- Credentials; and what would make nginx put an answer of its own (304, 412) in place of ours. Other headers stay for
-- the plugins between here and the guard, which leaves none of them.
local SECRET_OR_CONDITIONAL = {
  "Authorization", "Proxy-Authorization", "Cookie",
  "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
}

local YeastarReader = {
  -- After every plugin that authenticates (jwt 1450 … hmac-auth 1030), which still finds its header; before the adapter.
  PRIORITY = 1005,
  VERSION = VERSION,
}


-- The body, or nil if it is too long; and its length, as far as it is known without reading a file.
local function bounded(body)
  if not body then
    return nil, tonumber(ngx.var.content_length) or MAX_BODY + 1
  end
  if #body > MAX_BODY then
    return nil, #body
  end
  return body, #body
end


local function known(consumer)
  return consumer and { id = consumer.id, username = consumer.username, custom_id = consumer.custom_id }
end


function YeastarReader:access()
  local state = exchange.begin(INTERFACE)

  -- A body that breaks off ends the request inside this call: the filters below see that it never returned.
  ngx.req.read_body()
  state.body_read = true

  local body, body_bytes = bounded(kong.request.get_raw_body(MAX_BODY))
  local service = kong.router.get_service()
  state.service = service and service.protocol .. "://" .. service.host .. ":" .. service.port

  -- Each field costs a microsecond on its way: what says nothing is left out.
  kong.ctx.shared.yeastar_request = {
    interface = INTERFACE,
    nonce = state.nonce,
    id = ngx.var.kong_request_id,
    line = ngx.var.request,
    address = kong.client.get_forwarded_ip(),
    authorization = ngx.var.http_authorization,
    body = body,
    body_bytes = not body and body_bytes or nil,
    service = state.service,
    consumer = known(kong.client.get_consumer()),
    credential = kong.client.get_credential() and true or nil,
  }

  forwarding.hold(state)
  for _, name in ipairs(SECRET_OR_CONDITIONAL) do
    ngx.req.clear_header(name)
  end
  if body_bytes > 0 then
    -- As many blanks: request-size-limiting and its like, which run later, still judge the size.
    kong.service.request.set_raw_body(body and rep(" ", body_bytes) or "")
  end
end


-- The answer of FutureSMS, in one call of the adapter's: its response phase names this function as it names the PDK's.
-- Kong lets no plugin have both a `response` phase and the filters below, so it cannot be left ready like the request.
local function upstream_answer()
  local state = exchange.current()
  if not state then
    return nil
  end
  local order = state.carried
  local response = kong.service.response
  local status = response.get_status()
  local body = bounded(response.get_raw_body())
  local left = {
    interface = INTERFACE,
    nonce = state.nonce,
    id = ngx.var.kong_request_id,
    status = status,
    body = body,
    waited_ms = ngx.ctx.KONG_WAITING_TIME,
    carried = order ~= nil,
  }
  if order then
    left.consumer = order.consumer
    left.client_order_id = order.client_order_id
    left.token = order.token
    if status < 200 or status > 299 then
      left.retry_after = response.get_header("Retry-After")
      left.path, left.order, left.service = order.path, order.body, state.service
    end
  end
  return left
end

-- The adapter's decision to forward an order, in one call: the consumer becomes known to Kong here, at the adapter's
-- own place in the order of plugins, so that acl and its like know it; the rest is the guard's to carry out.
-- Arguments by position: names would cost as much as the rest. `consumer` is the one that the order is for, and
-- `authenticated` Kong's entity of it, where Kong does not know it yet.
local function forward(interface, nonce, path, token, body, consumer, client_order_id, headers, authenticated,
    credential_id)
  if authenticated then
    kong.client.authenticate(authenticated, { id = credential_id })
  end
  -- Key, text and nonce are nothing for the plugins between the adapter and the guard.
  kong.ctx.shared.yeastar_request = nil
  local state = exchange.current()
  if state then
    -- The adapter decides once: of two decisions one is another plugin's, and the guard carries out neither.
    state.contested = state.decision ~= nil
    state.decision = {
      interface = interface,
      nonce = nonce,
      path = path,
      token = token,
      body = body,
      consumer = consumer,
      client_order_id = client_order_id,
      headers = headers,
    }
  end
  -- Kong runs each handler of this phase as a coroutine, and goes on with the next plugin when it yields: this is how
  -- `kong.response.exit` ends a plugin server's handler without a further round trip.
  coroutine.yield()
end


-- Kong's consumer of a name. On their way to a plugin server the functions of the PDK lose their second result: for
-- `kong.client.load_consumer` a database that does not answer and a consumer that is not there would be the same.
local function load_consumer(username)
  local consumer, err = kong.client.load_consumer(username, true)
  if err then
    return { error = tostring(err) }
  end
  return {
    consumer = consumer and {
      id = consumer.id, username = consumer.username, custom_id = consumer.custom_id, tags = consumer.tags,
    } or false,
  }
end


-- A plugin server names these as it names the functions of the PDK.
kong.yeastar = { forward = forward, load_consumer = load_consumer, upstream_answer = upstream_answer }


function YeastarReader:header_filter()
  -- The key is nothing for the plugins that log.
  kong.ctx.shared.yeastar_request = nil
  local state = exchange.current()
  if state and not state.guarded and ngx.ctx.KONG_PROXIED then
    kong.log.err("refused: yeastar-guard has not run: it is missing or disabled on this route; nothing was sent")
  end
  -- The guard, last of all plugins, does it better where there is one.
  if not (state and state.guarded) then
    answer.header_filter(state)
  end
end


function YeastarReader:body_filter()
  local state = exchange.current()
  if not (state and state.guarded) then
    answer.body_filter()
  end
end


return YeastarReader
