"""Collectors: each looks at one side of the machine and changes nothing."""
