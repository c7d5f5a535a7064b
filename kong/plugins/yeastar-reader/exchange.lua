-- What reader and guard know of one request, out of reach of every other plugin.

local random_bytes = require("resty.random").bytes
local to_hex = require("resty.string").to_hex

local ngx = ngx

-- A number that nobody can guess: a secret of this worker and a count. It never leaves the gateway.
local secret
local count = 0

-- A key that nobody else has: neither a client nor another plugin can put anything in its place.
local KEY = {}

local _M = {}


-- interface: what the reader speaks.
function _M.begin(interface)
  secret = secret or to_hex(random_bytes(16)) .. "-"
  count = count + 1
  local state = {
    interface = interface,
    -- Whoever can repeat this has read what the reader left for this very request.
    nonce = secret .. count,
  }
  ngx.ctx[KEY] = state
  return state
end


-- The state of this request; nil where no reader has run.
function _M.current()
  return ngx.ctx[KEY]
end


return _M
