"""The helper's package, which lies beside its Dockerfile."""

import sys

from jimbot_stack.paths import ROOT

sys.path.insert(0, str(ROOT / "docker/services/helper"))
