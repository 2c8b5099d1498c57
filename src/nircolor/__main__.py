"""The command ``nircolor``, also as ``python -m nircolor``."""

from nircolor.app import stopping


def main() -> None:
    """Run the command line; see `nircolor.app.main.main`."""
    # before the imports of the command line, in which Ctrl-C would print a traceback
    stopping.install()
    from nircolor.app.main import main as run

    run()


if __name__ == "__main__":
    main()
