"""What a client of the application can call, one module for each service."""
