-- Last of all plugins: carries out what the adapter has decided of this very request, and refuses without a decision.
-- Kong proxies a request when it cannot reach the plugin server; this is what keeps it from doing so here.

local exchange = require "kong.plugins.yeastar-reader.exchange"
local answer = require "kong.plugins.yeastar-reader.answer"
local forwarding = require "kong.plugins.yeastar-reader.forwarding"

local kong = kong
local ngx = ngx

local next = next

local INTERFACE = 1
local VERSION = "0.2.0"

local ORDER_HEADERS = {
  ["accept"] = true,
  ["accept-encoding"] = true,
  ["authorization"] = true,
  ["content-length"] = true,
  ["content-type"] = true,
  ["host"] = true,
}

local YeastarGuard = {
  -- post-function, the last of the bundled ones, has -1000.
  PRIORITY = -2000,
  VERSION = VERSION,
}


local function of_another_version(plugin, interface)
  return plugin .. " is of another version: it speaks interface " .. tostring(interface) .. ", yeastar-guard "
    .. VERSION .. " speaks " .. INTERFACE .. "; install the three of one release"
end


-- Why there is nothing to carry out, or nil.
local function objection(state)
  if not state then
    return "yeastar-reader has not run: it is missing or disabled on this route"
  end
  if state.interface ~= INTERFACE then
    return of_another_version("yeastar-reader", state.interface)
  end
  local decision = state.decision
  if type(decision) ~= "table" then
    return "yeastar-adapter has decided nothing: its plugin server is down or hangs, "
      .. "or the plugin is missing or disabled on this route"
  end
  if decision.interface ~= INTERFACE then
    return of_another_version("yeastar-adapter", decision.interface)
  end
  if state.contested then
    return "two decisions were left of this request, one of them by another plugin than yeastar-adapter"
  end
  if decision.nonce ~= state.nonce then
    return "a decision that is not of this request was left, by another plugin than yeastar-adapter"
  end
end


function YeastarGuard:access()
  local state = exchange.current()
  local reason = objection(state)
  if reason then
    kong.log.err("refused: ", reason)
    return answer.exit(500)
  end

  local decision = state.decision
  state.guarded = true
  state.carried = decision

  forwarding.release(state)
  local request = kong.service.request
  request.set_method("POST")
  request.set_path(decision.path)
  request.set_raw_body(decision.body)
  forwarding.strip(ORDER_HEADERS)
  ngx.req.set_header("Authorization", "Bearer " .. decision.token)
  ngx.req.set_header("Content-Type", "application/json")
  ngx.req.set_header("Accept", "application/json")
  ngx.req.set_header("Accept-Encoding", "identity")

  if decision.headers and next(decision.headers) then
    kong.response.set_headers(decision.headers)
  end
  state.headers = ngx.resp.get_headers(0)
end


function YeastarGuard:header_filter()
  answer.header_filter(exchange.current())
end


function YeastarGuard:body_filter()
  answer.body_filter()
end


return YeastarGuard
