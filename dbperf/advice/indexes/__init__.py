"""The index search over a workload."""
