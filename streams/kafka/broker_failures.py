"""Why a local broker failed, as one plain sentence that says what to do, read from its log or an OSError."""

import errno
import re
import shutil
from pathlib import Path

DISK_FULL = "the disk is full: free space for {directory}, then start the broker again"

REASONS = (
    ("No space left on device", DISK_FULL),
    (
        "UnsupportedClassVersionError",
        "this `java` is too old: install Java 17 or newer, or name one with JAVA_HOME",
    ),
    (
        "Address already in use",
        "the port of {bootstrap} or its controller's is taken: stop what uses it, or name another port",
    ),
    (
        "Failed to acquire lock on file",
        "another broker uses {directory}: stop it, or name another directory",
    ),
    (
        "Permission denied|AccessDeniedException",
        "the broker may not write to {directory}: mend its owner, or name another directory",
    ),
    (
        "OutOfMemoryError",
        "the broker ran out of its 512 MB of memory: start it again, and use a Kafka of yours for loads like this",
    ),
)
"""(what the log says, what that means for whoever started the broker); the first that is found is told."""

FULL = 1 << 20
"""A disk with less than this free counts as full: the broker can then not even log it, and preallocates more."""

LOG_TAIL = 50_000
"""Characters of the log that are searched; the cause stands near its end."""


def from_log(log: Path, directory: Path, bootstrap: str) -> str:
    """Why the broker in `directory`, which has ended, did so."""
    text = log.read_text(errors="replace")[-LOG_TAIL:]
    for pattern, sentence in REASONS:
        if re.search(pattern, text):
            return sentence.format(directory=directory, bootstrap=bootstrap)
    if shutil.disk_usage(directory).free < FULL:
        return DISK_FULL.format(directory=directory)
    errors = [line for line in text.splitlines() if " ERROR " in line] or text.splitlines() or ["it said nothing"]
    return f"the broker ended by itself: look into {log}, whose last error is: {errors[-1]}"


def from_error(error: OSError, directory: Path) -> str:
    """Why `directory` could not be prepared."""
    if error.errno == errno.ENOSPC:
        return DISK_FULL.format(directory=directory)
    return f"cannot write to {directory} ({error.strerror}): mend its owner, or name another directory"
