"""Run the server: `python -m memgraph_standin`."""

import sys

from memgraph_standin.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
