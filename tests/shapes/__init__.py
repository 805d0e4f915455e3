"""Shapes of access: small functions that use a database well or badly, and what is to be found of each."""
