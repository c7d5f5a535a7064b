return {
  name = "early",
  fields = { { config = { type = "record", fields = { { run = { type = "string" } } } } } },
}
