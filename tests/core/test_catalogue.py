"""Which events there are (CONTRACT 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import catalogue
from streams.core.catalogue import EVENTS, OPERATIONAL, Catalogue, cloudevents_type
from tests.core.building import CATALOGUE


def test_the_events_of_each_topic_are_those_of_the_contract() -> None:
    by_topic = {topic: [name for name, home in EVENTS.items() if home == topic] for topic in catalogue.TOPICS}
    assert by_topic == {
        "identity.user": [
            *("User.Created", "User.Deleted", "User.Data.Updated", "User.SuspensionStatus.Updated"),
            *("TrustedDevice.Created", "TrustedDevice.Deleted"),
        ],
        "identity.role": ["Role.Created", "Role.Deleted", "Role.Data.Updated", "Role.Scopes.Updated"],
        "identity.permission": ["Scope.Created", "Scope.Deleted", "Scope.Data.Updated"],
        "identity.organization": [
            *("Organization.Created", "Organization.Deleted", "Organization.Data.Updated"),
            "Organization.Membership.Updated",
            *("OrganizationRole.Created", "OrganizationRole.Deleted", "OrganizationRole.Data.Updated"),
            "OrganizationRole.Scopes.Updated",
            *("OrganizationScope.Created", "OrganizationScope.Deleted", "OrganizationScope.Data.Updated"),
        ],
        "identity.interaction": [
            *("PostRegister", "PostSignIn", "PostSignInAdaptiveMfaTriggered", "PostResetPassword"),
            *("Identifier.Lockout", "Message.RateLimited", "Grant.LimitExceeded"),
        ],
    }


def test_there_are_31_events_in_logtos_order() -> None:
    names = list(EVENTS)
    assert len(names) == 31
    assert names[:5] == [
        *("PostRegister", "PostSignIn", "PostSignInAdaptiveMfaTriggered", "PostResetPassword", "User.Created"),
    ]
    assert names[-3:] == ["Identifier.Lockout", "Message.RateLimited", "Grant.LimitExceeded"]


@pytest.mark.parametrize(
    ("type_", "event"),
    [
        ("User.Created", "User.Created"),
        ("identity.user.created", "User.Created"),
        ("IDENTITY.USER.CREATED", "User.Created"),
        ("identity.user.suspension-status.updated", "User.SuspensionStatus.Updated"),
        ("identity.user.suspension_status.updated", "User.SuspensionStatus.Updated"),
        ("identity.user.suspensionstatus.updated", "User.SuspensionStatus.Updated"),
        ("identity.trusted-device.deleted", "TrustedDevice.Deleted"),
        ("identity.post-sign-in", "PostSignIn"),
        ("user.created", None),
        ("identity.user", None),
        ("identity.user.created.v2", None),
        ("", None),
    ],
)
def test_a_cloud_events_type_names_an_event_in_either_spelling(type_: str, event: str | None) -> None:
    assert CATALOGUE.from_cloudevents(type_) == event


def test_every_event_has_a_spelling_of_its_own() -> None:
    assert len({cloudevents_type(name) for name in EVENTS}) == len(EVENTS)
    assert [CATALOGUE.from_cloudevents(cloudevents_type(name)) for name in EVENTS] == list(EVENTS)


@given(st.text())
def test_no_text_makes_looking_up_a_type_raise(text: str) -> None:
    assert CATALOGUE.from_cloudevents(text) in {None, *EVENTS, *OPERATIONAL}


def test_an_operators_own_event_is_let_through_on_its_topic_beside_the_others() -> None:
    extra = Catalogue({"Invoice.Paid": "identity.organization"})
    assert extra.topic_of("Invoice.Paid") == "identity.organization"
    assert extra.topic_of("User.Created") == "identity.user"
    assert extra.from_cloudevents("identity.invoice.paid") == "Invoice.Paid"
    assert extra.problem_with("Invoice.*") is None
    assert CATALOGUE.topic_of("Invoice.Paid") is None
    assert "Invoice.Paid" not in EVENTS


def test_an_operators_own_event_does_not_take_over_the_spelling_of_logtos() -> None:
    extra = Catalogue({"user.created": "identity.role"})
    assert extra.from_cloudevents("identity.user.created") == "User.Created"
    assert extra.from_cloudevents("user.created") == "user.created"


@pytest.mark.parametrize("pattern", ["*", "User.*", "User.Data.*", "Organization.*", "Hook.*", *EVENTS, *OPERATIONAL])
def test_a_hook_may_ask_for_an_event_a_prefix_or_everything(pattern: str) -> None:
    assert CATALOGUE.problem_with(pattern) is None


@pytest.mark.parametrize(
    "pattern", ["", "user.created", "User", "User.", "User*", "User.C*", "*.Created", "**", ".*", "Users.*", "User.*.*"]
)
def test_a_hook_may_ask_for_nothing_else(pattern: str) -> None:
    assert CATALOGUE.problem_with(pattern) == f"{pattern!r} is no event, no prefix of one (`User.*`) and not `*`"


# What happens to hooks


def test_four_operational_events_belong_to_the_topic_that_hookline_writes() -> None:
    names = ["Hook.Failing", "Hook.Recovered", "Hook.Disabled", "Hook.Exhausted"]
    assert list(OPERATIONAL) == names
    assert {CATALOGUE.topic_of(name) for name in names} == {"hooks.operations"}
    assert "hooks.operations" not in catalogue.TOPICS
    assert (*catalogue.TOPICS, "hooks.operations") == catalogue.EVENT_TOPICS


def test_everything_means_all_identity_events_and_the_operators_own_but_no_news_about_hooks() -> None:
    extra = Catalogue({"Invoice.Paid": "identity.organization"})
    assert list(extra.named_by("*")) == [*EVENTS, "Invoice.Paid"]
    assert list(extra.named_by("Hook.*")) == list(OPERATIONAL)
    assert list(extra.named_by("Hook.Failing")) == ["Hook.Failing"]


@pytest.mark.parametrize("name", OPERATIONAL)
def test_nobody_can_redefine_an_operational_event(name: str) -> None:
    assert Catalogue({name: "identity.user"}).topic_of(name) == "hooks.operations"
    assert CATALOGUE.from_cloudevents(cloudevents_type(name)) is None
