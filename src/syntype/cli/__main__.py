"""`python -m syntype.cli`, the same as `syntype`."""

from syntype.cli import main

main()
