"""``python -m nircolor``."""

from nircolor.app.main import main

main()
