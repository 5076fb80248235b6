"""Run the server: `python -m questdb_standin -d DIRECTORY`."""

import sys

from questdb_standin.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
