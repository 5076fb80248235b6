"""The library beneath the tasks: `Stack`, and how a project is found and opened."""
