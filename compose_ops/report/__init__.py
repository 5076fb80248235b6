"""Pages of HTML about what operations did: self-contained, without scripts."""
