"""What containers do, on an engine that runs: `python -m tests.packaging.containers`, or `make containers`.

Everything happens in a copy of the checkout, under a project name, image tags and ports of its own, so that it touches
nothing that runs; at the end all of it is removed. `--engine podman` speaks to Podman's socket with the same commands.
"""

from . import alerts as alerts
from .runs import RUNS as RUNS
