"""What operators see: a log line for each request that did not go well, and metrics."""
