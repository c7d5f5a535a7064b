"""`yeastarctl order`: what became of a message."""
