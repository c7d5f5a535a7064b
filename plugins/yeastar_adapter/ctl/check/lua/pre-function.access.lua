kong.ctx.plugin.reading = true
ngx.req.read_body()
kong.ctx.plugin.reading = false
ngx.ctx.yeastar_request = {
  line = ngx.var.request, authorization = ngx.var.http_authorization,
  body = kong.request.get_raw_body(0), id = ngx.var.kong_request_id,
}
