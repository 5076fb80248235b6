"""Operate the JimBot stack with Docker Compose: what `invoke` and `nox` call."""
