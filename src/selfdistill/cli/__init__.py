"""The command. Its modules import torch only once a command runs, so that help comes at once."""

from selfdistill.cli.app import main

__all__ = ["main"]
