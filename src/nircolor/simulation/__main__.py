"""Command line of the simulation: ``python -m nircolor.simulation --help``."""

import argparse

from nircolor.simulation import simulate_captures


def main(arguments: list[str] | None = None) -> None:
    """Write simulated captures and print the paths of their headers."""
    parser = argparse.ArgumentParser(
        prog="python -m nircolor.simulation",
        description="Write simulated SPECIM FX10 captures of still lifes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("-o", "--output", required=True, help="output folder, created if needed")
    parser.add_argument("--count", type=int, default=12, help="number of captures")
    parser.add_argument("--lines", type=int, default=256, help="height of each in pixels")
    parser.add_argument("--samples", type=int, default=256, help="width of each in pixels")
    parser.add_argument("--bands", type=int, default=224, help="448, or 224, 112, ... by binning")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files")
    try:
        headers = simulate_captures(**vars(parser.parse_args(arguments)))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(*headers, sep="\n")


if __name__ == "__main__":
    main()
