"""Backups that are read back, and restores that can be undone."""
