"""The differ: one domain against its source."""
