local response = kong.response
-- The adapter signs its answers. FutureSMS could send that header too, but not with this source.
local signed = response.get_header("X-Yeastar-Adapter") and response.get_source() == "exit"
local status = response.get_status()
if not signed then
  -- Kong itself, another plugin, or FutureSMS past the adapter: say it in Yeastar's words.
  local code, title = "10007", "Service unavailable"
  if status == 401 then
    code, title = "10004", "Authentication failed"
    response.set_header("WWW-Authenticate", "Bearer")
  elseif status == 403 then
    code, title = "10005", "No permission"
  elseif status == 429 then
    code, title = "10006", "Too many requests"
    response.set_header("Retry-After", response.get_header("Retry-After") or "1")
  elseif status >= 400 and status < 500 then
    status, code, title = 400, "10002", "Invalid parameter"
  else
    status = 500
  end
  local detail = code == "10002" and "the gateway refused the request" or title
  kong.ctx.plugin.body = string.format(
    '{"errors": [{"code": "%s", "title": "%s", "detail": "%s"}]}', code, title, detail)
  response.set_status(status)
  response.set_header("Content-Type", "application/json")
  response.set_header("Content-Length", #kong.ctx.plugin.body)
end
-- What FutureSMS says about itself is not for the PBX.
for name in pairs(response.get_headers(1000)) do
  local own = name == "content-type" or name == "content-length" or name == "date"
    or name == "connection" or name == "transfer-encoding"
    or name == "retry-after" and status == 429
    or name == "www-authenticate" and status == 401
    or name:find("ratelimit", 1, true) or name:find("request-id", 1, true)
  if not own then
    response.clear_header(name)
  end
end
