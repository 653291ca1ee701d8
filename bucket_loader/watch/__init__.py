"""The watcher: keeps the inventory in step with the source bucket."""
