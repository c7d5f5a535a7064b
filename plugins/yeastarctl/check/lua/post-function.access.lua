local ORDER_PATH = "/api/v1/sms/sends"
local OF_THE_ORDER = {
  ["accept"] = true, ["accept-encoding"] = true, ["authorization"] = true, ["host"] = true,
  ["content-length"] = true, ["content-type"] = true,
}
return function()
  -- Only the adapter sets this path, and only when it has accepted the request.
  if ngx.var.upstream_uri ~= ORDER_PATH then
    return kong.response.exit(500, "")
  end
  -- FutureSMS sees the order, and nothing of the PBX or of Kong's consumers.
  for name in pairs(ngx.req.get_headers(0)) do
    if not OF_THE_ORDER[name] then
      ngx.req.clear_header(name)
    end
  end
  ngx.req.set_uri_args("")
  for _, name in ipairs({"for", "host", "path", "port", "prefix", "proto"}) do
    ngx.var["upstream_x_forwarded_" .. name] = ""
  end
  -- `Connection: Authorization` would make Kong drop the order's token after all plugins, and
  -- `Upgrade` would make it skip the adapter's response phase, with the message sent.
  ngx.ctx.cached_request_headers = nil
  ngx.var.upstream_connection = "keep-alive"
  ngx.var.upstream_upgrade = ""
  ngx.var.upstream_te = ""
  kong.ctx.plugin.headers = ngx.resp.get_headers(0)
end
