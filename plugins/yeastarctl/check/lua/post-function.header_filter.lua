local ERRORS = {
  [400] = {"10002", "Invalid parameter", "the gateway refused the request"},
  [401] = {"10004", "Authentication failed"},
  [403] = {"10005", "No permission"},
  [429] = {"10006", "Too many requests"},
  [500] = {"10007", "Service unavailable"},
}
local BODY = '{"errors": [{"code": "%s", "title": "%s", "detail": "%s"}]}'
return function()
  local response, status = kong.response, kong.response.get_status()
  -- The adapter signs its answers. FutureSMS could write the same, but is not an "exit".
  local signed = response.get_source() == "exit" and response.get_header("X-Yeastar-Adapter")

  -- What FutureSMS says about itself is not for the PBX; what plugins had said before it is.
  local ours = signed and {
    ["content-type"] = true, ["content-length"] = true, ["retry-after"] = status == 429,
  } or {}
  local before = kong.ctx.plugin.headers or {}
  for name in pairs(ngx.ctx.buffered_headers or {}) do
    name = name:lower():gsub("_", "-")
    if not ours[name] then
      ngx.header[name] = before[name]
    end
  end

  if not signed then
    -- Kong itself or another plugin: say it in Yeastar's words. FutureSMS past an adapter that has
    -- died meanwhile: its 401 is about the order's token, not about the PBX's key.
    local past = response.get_source() == "service"
    status = not past and (ERRORS[status] and status or status > 400 and status < 500 and 400) or 500
    local code, title, detail = unpack(ERRORS[status])
    kong.ctx.plugin.body = BODY:format(code, title, detail or title)
    response.set_status(status)
    response.set_header("Content-Type", "application/json")
    response.set_header("Content-Length", #kong.ctx.plugin.body)
    ngx.header["WWW-Authenticate"] = status == 401 and "Bearer" or nil
    ngx.header["Retry-After"] = status == 429 and (ngx.header["Retry-After"] or "1") or nil
  end
  response.clear_header("X-Yeastar-Adapter")
end
