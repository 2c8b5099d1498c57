"""The command line: one file per command, `main` as the entry point."""
