"""`python -m turboapi` is the command `turboapi`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
