if kong.ctx.plugin.body and kong.response.get_raw_body() then
  kong.response.set_raw_body(kong.ctx.plugin.body)
end
