"""`python -m r1data` is `r1data`."""

from r1data.cli import main

main()
