local typedefs = require "kong.db.schema.typedefs"

return {
  name = "hello",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    { config = {
        type = "record",
        fields = {
          { greeting = { type = "string", default = "hello" } },
          { names = { type = "array", elements = { type = "string" }, default = {} } },
          { mood = { type = "string", custom_validator = function(value)
              return value ~= "grim", "not on duty"
            end } },
          { run = { type = "string" } },
        },
      },
    },
  },
}
