"""Runs the code that it is given: a Python program, for the tests of how programs are run."""

import sys

exec(sys.argv[1])
