if kong.ctx.plugin.reading then
  kong.response.set_status(400)
  kong.response.set_header("Content-Type", "application/json")
  kong.response.clear_header("Content-Length")
end
