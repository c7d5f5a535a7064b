kong.ctx.plugin.reading = true
ngx.req.read_body()
kong.ctx.plugin.reading = false
-- With these, nginx would put an answer of its own (304, 412) in place of ours.
for _, name in ipairs({"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}) do
  ngx.req.clear_header(name)
end
ngx.ctx.yeastar_request = {
  line = ngx.var.request, authorization = ngx.var.http_authorization,
  body = kong.request.get_raw_body(0), id = ngx.var.kong_request_id,
}
