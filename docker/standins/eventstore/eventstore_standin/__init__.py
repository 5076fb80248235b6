"""A stand-in for EventStoreDB: HTTP streams, checkpoints and chunks."""
