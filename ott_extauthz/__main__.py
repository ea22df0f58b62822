"""Run the command line as ``python -m ott_extauthz``."""

from ott_extauthz.cli import main

if __name__ == "__main__":
    main()
