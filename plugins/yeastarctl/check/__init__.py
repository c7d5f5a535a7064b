"""`yeastarctl config check`: what is wrong in a declarative configuration, with file and line."""
