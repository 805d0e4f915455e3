"""Plans under indexes that do not exist."""
