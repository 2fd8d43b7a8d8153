"""``python -m vtoc_bots`` is the same as ``vtoc-bots``."""

from vtoc_bots.cli import main

main()
