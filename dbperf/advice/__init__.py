"""What to change, and the proof."""
