-- Where a request goes, and what Kong would send along about the PBX and its network.

local kong = kong
local ngx = ngx

local pairs = pairs

-- Nobody can listen on port 0: until the guard has put the service back, a request reaches nobody.
local NOWHERE, NO_PORT = "127.0.0.1", 0

local _M = {}


-- Have Kong send this request nowhere. `state` keeps where it would have gone, whoever had said so.
function _M.hold(state)
  local target = ngx.ctx.balancer_data
  state.host, state.port, state.upstream_host = target.host, target.port, ngx.var.upstream_host
  kong.service.set_target(NOWHERE, NO_PORT)
end


-- Take `hold` back; a target that another plugin has set meanwhile stays.
function _M.release(state)
  local target = ngx.ctx.balancer_data
  if target.host == NOWHERE and target.port == NO_PORT then
    kong.service.set_target(state.host, state.port)
    ngx.var.upstream_host = state.upstream_host
  end
end


-- Leave nothing of the client in the request: its headers but those in `kept` (lower case), query, forwarding headers.
function _M.strip(kept)
  for name in pairs(ngx.req.get_headers(0)) do
    if not kept[name] then
      ngx.req.clear_header(name)
    end
  end
  ngx.req.set_uri_args("")

  local var = ngx.var
  var.upstream_x_forwarded_for = ""
  var.upstream_x_forwarded_host = ""
  var.upstream_x_forwarded_path = ""
  var.upstream_x_forwarded_port = ""
  var.upstream_x_forwarded_prefix = ""
  var.upstream_x_forwarded_proto = ""
  var.upstream_via = ""

  -- `Connection: Authorization` would make Kong drop the order's token after all plugins, and `Upgrade` would make it
  -- skip the response phase, with the message sent. Kong looks at its own copy of the headers too.
  var.upstream_connection = "keep-alive"
  var.upstream_upgrade = ""
  var.upstream_te = ""
  ngx.ctx.cached_request_headers = nil
end


return _M
