"""Backups that are proven, restores that cannot lose data."""
