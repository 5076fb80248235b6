"""A stand-in for QuestDB 7.3: REST, PostgreSQL wire, line protocol, snapshots."""
