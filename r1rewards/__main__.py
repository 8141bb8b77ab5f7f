"""`python -m r1rewards` is `r1rewards`."""

from r1rewards.cli import main

main()
