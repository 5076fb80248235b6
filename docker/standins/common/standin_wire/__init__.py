"""What the three stand-ins share: sockets, HTTP, records that survive a kill."""
