"""Run the server: `python -m eventstore_standin`."""

import sys

from eventstore_standin.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
