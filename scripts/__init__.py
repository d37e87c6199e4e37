"""What people and CI run in a checkout: set up the machine, fetch test videos, run Kafka. Standard library only."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  this runs before anything was installed that would refuse it
    sys.exit(f"microex needs Python 3.11 or newer, this is {sys.version.split()[0]}; try: make PYTHON=python3.11 …")
