"""What the commands that write hooks say about where the hooks' URLs lead: refused, doubtful, or nothing at all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streams.cli.output import run, tell
from streams.core import egress

if TYPE_CHECKING:
    from streams.settings import Settings


def refusals(ours: "Settings", urls: Sequence[str]) -> list[str]:
    """Why each URL is refused by what its name resolves to now, empty when it is not; one wait of 3 s for a name.

    A name that does not resolve is no reason to refuse: hooks are often written before their receivers stand. It is
    told on stderr, with the way to go on. On trial names are asked for too, or the trial would promise too much.
    """
    allowed = egress.networks(ours.allow_networks)
    targets = [egress.target(url, allowed) for url in urls]
    if all(isinstance(target, egress.Verdict) or target.is_literal for target in targets):
        return ["" for _ in urls]  # and no third of a second for importing an HTTP client
    from streams.web import resolving

    leads = run(resolving.leads(urls, allowed))
    doubts = dict.fromkeys(lead.doubt for lead in leads if lead.doubt)
    if ours.log_level != "error":
        for doubt in doubts:
            tell(
                f"note: {doubt}. Until it can be, deliveries fail as `dns` and are retried; if the name is wrong, "
                "write the hook again with `hookline hook put`"
            )
    return [lead.refusal for lead in leads]
