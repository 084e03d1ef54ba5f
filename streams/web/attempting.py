"""One attempt: a job and its hook in, an answer out. The headers are signed anew each time, the body never changes."""

from collections.abc import Callable

from msgspec.structs import replace

from streams.core import signing
from streams.core.records import Answer, Hook, Job
from streams.web.transport import Transport


class Attempting:
    """What every attempt shares. `clock` gives Unix milliseconds, `version` is Hookline's own."""

    def __init__(self, transport: Transport, clock: Callable[[], int], version: str) -> None:
        self._transport = transport
        self._clock = clock
        self._version = version

    async def __call__(self, job: Job, hook: Hook) -> Answer:
        """POST the job's body as the hook wants it; never raises."""
        now_s = self._clock() // 1000
        headers = signing.headers(hook, job, now_s, self._version)
        answer = await self._transport.post(hook.config.url, headers, job.body, hook.delivery.timeout_ms / 1000)
        return replace(answer, key_ids=signing.key_ids(hook, now_s * 1000))
