"""Renderers over the frozen Report."""
