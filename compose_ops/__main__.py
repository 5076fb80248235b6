"""`python -m compose_ops` is the program `compose-ops`."""

from compose_ops.cli.start import main

main()
