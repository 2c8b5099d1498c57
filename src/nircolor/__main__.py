"""The command ``nircolor``, also as ``python -m nircolor``."""

import gc
import signal


def main() -> None:
    """Run the command line; see `nircolor.app.main.main`."""
    # imports create a hundred thousand objects and no garbage: search for it more rarely
    gc.set_threshold(10_000)
    # Ctrl-C during the imports would print a traceback
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nircolor.app import stopping, terminal

    # before any file is opened, which would take the place of a closed stream
    terminal.prepare_streams()
    stopping.install()
    from nircolor.app.main import main as run

    try:
        run()
    finally:
        # Python would search all objects for garbage once more while it exits
        gc.freeze()


if __name__ == "__main__":
    main()
