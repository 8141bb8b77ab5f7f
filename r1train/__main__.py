"""`python -m r1train`."""

from r1train.cli import main

main()
