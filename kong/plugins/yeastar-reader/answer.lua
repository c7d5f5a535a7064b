-- Every answer in Yeastar's form, whoever gave it: the adapter, Kong, another plugin, FutureSMS.

local kong = kong
local ngx = ngx

local pairs = pairs
local lower = string.lower
local gsub = string.gsub

-- Carries the nonce of the request: no other plugin and no service can sign an answer.
local SIGNATURE = "X-Yeastar-Adapter"

-- The contract's catalogue, as far as an answer that is not the adapter's can have an entry of it.
local BY_STATUS = {
  [400] = { code = "10002", title = "Invalid parameter", detail = "the gateway refused the request" },
  [401] = { code = "10004", title = "Authentication failed" },
  [403] = { code = "10005", title = "No permission" },
  [429] = { code = "10006", title = "Too many requests" },
  [500] = { code = "10007", title = "Service unavailable" },
}

local UNREADABLE = { code = "10002", title = "Invalid parameter", detail = "the body could not be read" }

local _M = {}


local function json(entry)
  return '{"errors": [{"code": "' .. entry.code .. '", "title": "' .. entry.title
    .. '", "detail": "' .. (entry.detail or entry.title) .. '"}]}'
end


-- Answer now, in the access phase.
function _M.exit(status)
  return kong.response.exit(status, json(BY_STATUS[status]), { ["Content-Type"] = "application/json" })
end


-- What FutureSMS says about itself is not for the PBX; what plugins had said before it is.
local function remove_service_headers(before, kept)
  for name in pairs(ngx.ctx.buffered_headers or {}) do
    name = gsub(lower(name), "_", "-")
    if not kept[name] then
      ngx.header[name] = before and before[name]
    end
  end
end


-- Whether the answer is the adapter's own. Asked once: the first filter that asks removes the signature.
local function is_signed(state, source)
  if not state then
    kong.response.clear_header(SIGNATURE)
    return false
  end
  if state.signed == nil then
    state.signed = source == "exit" and kong.response.get_header(SIGNATURE) == state.nonce
    kong.response.clear_header(SIGNATURE)
  end
  return state.signed
end


local NONE = {}
local OF_OURS = { ["content-type"] = true, ["content-length"] = true }
local OF_OURS_429 = { ["content-type"] = true, ["content-length"] = true, ["retry-after"] = true }


function _M.header_filter(state)
  local response = kong.response
  local status = response.get_status()
  local source = response.get_source()
  local signed = is_signed(state, source)

  if signed then
    remove_service_headers(state.headers, status == 429 and OF_OURS_429 or OF_OURS)
    return
  end
  remove_service_headers(state and state.headers, NONE)

  local entry
  if state and not state.body_read then
    status, entry = 400, UNREADABLE
  elseif source == "service" then
    -- FutureSMS past an adapter that has died meanwhile: its 401 is about an order's token, not about the PBX's key.
    status = 500
  elseif not BY_STATUS[status] then
    status = status > 400 and status < 500 and 400 or 500
  end

  local body = json(entry or BY_STATUS[status])
  kong.ctx.plugin.body = body
  response.set_status(status)
  response.set_header("Content-Type", "application/json")
  response.set_header("Content-Length", #body)
  ngx.header["WWW-Authenticate"] = status == 401 and "Bearer" or nil
  ngx.header["Retry-After"] = status == 429 and (ngx.header["Retry-After"] or "1") or nil
end


function _M.body_filter()
  local body = kong.ctx.plugin.body
  if body and kong.response.get_raw_body() then
    kong.response.set_raw_body(body)
  end
end


return _M
