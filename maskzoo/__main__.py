"""`python -m maskzoo` is the command `maskzoo`."""

from maskzoo.cli import main

if __name__ == "__main__":
    main()
