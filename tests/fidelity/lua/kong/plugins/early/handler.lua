return require "kong.plugins.hello.scripted"(1010)
