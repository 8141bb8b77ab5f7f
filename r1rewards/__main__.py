"""`python -m r1rewards` is `r1rewards`."""

from r1rewards.cli import main

if __name__ == "__main__":  # worker processes import this module again
    main()
