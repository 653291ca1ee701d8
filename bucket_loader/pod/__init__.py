"""What every pod is: a process that waits for its servers, workers in a loop, health and metrics."""
