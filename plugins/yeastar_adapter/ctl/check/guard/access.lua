-- Only the adapter sets this path, and only when it has accepted the request.
if ngx.var.upstream_uri ~= "/api/v1/sms/sends" then
  return kong.response.exit(500, "")
end
-- FutureSMS sees the order, and nothing of the PBX or of Kong's consumers.
local kept = {
  ["accept"] = true, ["accept-encoding"] = true, ["authorization"] = true, ["connection"] = true,
  ["content-length"] = true, ["content-type"] = true, ["host"] = true,
}
for name in pairs(kong.request.get_headers(1000)) do
  if not kept[name] then
    kong.service.request.clear_header(name)
  end
end
