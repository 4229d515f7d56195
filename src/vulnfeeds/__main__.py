"""`python -m vulnfeeds` is the command `vulnfeeds`."""

from vulnfeeds.cli import main

if __name__ == "__main__":
    main()
