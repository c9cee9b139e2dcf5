#!/usr/bin/env python
"""Django's command line, with the embedded services there when they are needed."""

import sys

from billing_project import startup


def main() -> None:
    """Run one management command."""
    startup.check()
    with startup.one_line_errors():
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
