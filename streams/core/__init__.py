"""The rules. Nothing in this package waits, tells the time, rolls dice, reads the environment or talks to anybody.

Every function takes what it needs (*record, state, now, random*) and returns what should happen; the
rings outside make it happen. `tests/test_architecture.py` keeps clocks, sockets and client libraries out.
"""
