"""Where a workload can come from other than an instrumented engine; one file each."""
