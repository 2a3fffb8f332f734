"""`python -m selfdistill`: the command."""

from selfdistill.cli import main

main()
