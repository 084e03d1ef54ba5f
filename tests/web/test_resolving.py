"""Names are asked for once when a hook is written: what is refused, what is only doubted, what is not asked at all."""

import pytest

from streams.core.egress import networks
from streams.web import resolving
from streams.web.resolving import AT_ONCE, Lead, leads
from tests.web.test_guard import PUBLIC, Names


async def test_a_public_answer_is_taken_without_a_word() -> None:
    assert await leads(["https://crm.example.com/x"], (), Names(crm=PUBLIC)) == [Lead()]


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1", "loopback"), ("169.254.169.254", "cloud"), ("64:ff9b::7f00:1", "nat64"), ("fd00::1", "private")],
)
async def test_an_answer_with_one_forbidden_address_is_refused_with_its_reason(address: str, reason: str) -> None:
    names = Names(crm=(*PUBLIC, address))
    (lead,) = await leads(["https://crm.example.com/secret"], (), names)
    assert lead.refusal.startswith(f"config.url ({reason}): ")
    assert "secret" not in lead.refusal
    assert address not in lead.refusal
    assert names.closed


async def test_a_port_is_judged_with_the_address() -> None:
    allowed = networks(["10.0.0.0/8"])
    (lead,) = await leads(["http://crm.example.com:9000/"], allowed, Names(crm=PUBLIC))
    assert lead.refusal.startswith("config.url (port): ")


async def test_a_name_without_an_answer_is_only_doubted() -> None:
    (lead,) = await leads(["https://dead.example.com/"], (), Names())
    assert lead == Lead(doubt="dead.example.com cannot be resolved now: Name or service not known")


async def test_a_silent_name_server_is_waited_for_no_longer_than_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.web.guard.BUDGET_S", 0.01)
    names = Names(crm=PUBLIC)
    names.speaks.clear()
    (lead,) = await leads(["https://crm.example.com/"], (), names)
    assert "gave no answer within" in lead.doubt


async def test_many_silent_names_are_waited_for_no_longer_than_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "ALL_S", 0.01)
    names = Names()
    names.speaks.clear()
    found = await leads([f"https://n{n}.example.com/" for n in range(2 * AT_ONCE)], (), names)
    assert {lead.doubt for lead in found} == {"not all names were looked up within 0.01 s"}
    assert len(names.asked) == AT_ONCE


async def test_addresses_and_urls_that_the_grammar_refuses_are_not_asked_for() -> None:
    names, allowed = Names(), networks(["10.0.0.0/8", "fd00::/8"])
    urls = ["http://10.0.0.1:9000/", "http://[fd00::1]:9000/", "https://127.0.0.1/", "ftp://crm.example.com/", ""]
    assert await leads(urls, allowed, names) == [Lead()] * len(urls)
    assert names.asked == []


async def test_every_name_is_asked_for_once_and_answers_stand_in_the_order_of_the_urls() -> None:
    names = Names(good=PUBLIC, bad=("10.0.0.1",))
    urls = [f"https://{name}.example.com/{n}" for n in range(5) for name in ("good", "bad", "dead")]
    found = await leads(urls, (), names)
    assert [bool(lead.refusal) for lead in found] == [False, True, False] * 5
    assert [bool(lead.doubt) for lead in found] == [False, False, True] * 5
    assert sorted(names.asked) == ["bad.example.com", "dead.example.com", "good.example.com"]
