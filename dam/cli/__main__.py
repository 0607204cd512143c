"""Lets ``python -m dam.cli`` be the program."""

import sys

from dam.cli import main

if __name__ == "__main__":
    sys.exit(main())
