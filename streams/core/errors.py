"""Every error Hookline raises on purpose. Each leaf says who has to act, and carries the command's exit code.

Input that cannot be read is not an error: it becomes a dead letter with a reason (see `records.Reason`).
"""

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that decoding a stranger's JSON raises: it is none or breaks a rule, it is not UTF-8, it is nested too deep."""


class HooklineError(Exception):
    """Parent of all; its text is one plain sentence that says what to do next. Exit code 1: it failed."""

    exit_code = 1


class BrokerUnreachable(HooklineError):
    """The operator acts: no Kafka broker answers at the address that is configured. Exit code 3."""

    exit_code = 3


class BrokerRefuses(BrokerUnreachable):
    """The operator acts: the broker does not let this client in, or not do what it has to. Exit code 3."""


class InvalidInput(HooklineError):
    """Whoever wrote the input acts: a setting, a hook or an event that the rules refuse. Exit code 4."""

    exit_code = 4


class TopicsUnfit(HooklineError):
    """The operator acts: topics are missing, not compacted, of unequal partition counts, or have grown. Exit code 1."""


class LocalBrokerFailed(HooklineError):
    """The operator acts: the local broker cannot run (no Java, port taken, disk full, ...). Exit code 1."""
