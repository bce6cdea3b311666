"""`python -m dkronpy` is the `dkron` command."""

from __future__ import annotations

import sys

from dkronpy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
