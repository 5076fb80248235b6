"""The project on several machines: Docker Swarm runs the same compose files."""
