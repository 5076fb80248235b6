"""The Model Context Protocol over streamable HTTP, without state between requests."""
