"""A stand-in for Memgraph: Bolt, a few queries, and nodes that survive a kill."""
