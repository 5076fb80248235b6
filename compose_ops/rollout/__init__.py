"""Replace a service's containers one batch at a time, and prove that nothing failed."""
