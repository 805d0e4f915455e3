"""The hot path: what ran, how long, from which line."""
