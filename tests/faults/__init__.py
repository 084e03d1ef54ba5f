"""What happens when things go wrong: `make faults`, or `python -m tests.faults [--quick] [name...]`.

Real broker, real processes, real receiver. `stage` sets a line up, `load` publishes, `receiver` misbehaves and notes,
`scenarios/` break things, `checking` turns what was noted into one row and the invariants (DESIGN) that it breaks.
"""
