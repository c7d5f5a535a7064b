return {
  name = "late",
  fields = { { config = { type = "record", fields = { { run = { type = "string" } } } } } },
}
