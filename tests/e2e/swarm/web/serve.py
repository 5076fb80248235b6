"""A page with what the container sees of its configs, its secret and its /tmp."""

import hashlib
import http.server
import json
import os
import sys
import urllib.request
from pathlib import Path


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        Path("/tmp/asked").touch()
        files = sorted(p for p in Path("/etc/web").rglob("*") if p.is_file())
        seen = {
            "host": os.uname().nodename,
            "version": os.environ.get("VERSION"),
            "files": {str(p): p.read_text() for p in files},
            "token": hashlib.sha256(
                Path("/run/secrets/token").read_bytes()
            ).hexdigest(),
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())

    def log_message(self, *words: object) -> None:  # noqa: ARG002 - the server's
        sys.stdout.write(f"asked {self.path}\n")
        sys.stdout.flush()


if sys.argv[1:] == ["check"]:
    urllib.request.urlopen("http://127.0.0.1:8000/health", timeout=4).read()
elif os.environ.get("VERSION") == "bad":
    sys.exit(3)
else:
    http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Page).serve_forever()
