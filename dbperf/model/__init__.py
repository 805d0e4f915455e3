"""Frozen data that all other packages speak. Imports nothing of dbperf."""
