"""What is told of a task that nobody watches: hooks, notifications, pings, metrics."""
