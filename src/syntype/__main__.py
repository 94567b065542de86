"""`python -m syntype` is the command line, whatever the path holds."""

from syntype.cli import main

main()
