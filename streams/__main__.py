"""`python -m streams` is the `hookline` command."""

from streams.cli import main

main()
