if kong.ctx.plugin.reading and kong.response.get_raw_body() then
  kong.response.set_raw_body('{"errors": [{"code": "10002", "title": "Invalid parameter", '
    .. '"detail": "the body could not be read"}]}')
end
