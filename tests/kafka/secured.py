"""A real broker that lets nobody in unseen: SASL_SSL with four mechanisms, TLS with client certificates, and ACLs.

Its own PLAINTEXT listener stays, for the test alone: whoever comes there unnamed is a super user. Whatever a role
does comes by the secured listeners, as the user that its settings name, and every decision of the broker's authorizer
is in its log.
"""

import asyncio
import base64
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from streams.kafka import broker_files, clients
from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import find_java
from streams.kafka.broker_ready import HOST, free_port
from streams.kafka.rights import RIGHTS, Right
from streams.settings import Settings
from tests.kafka.certificates import Authority

USERS = (*RIGHTS, "nobody")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")

FORMAT = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs=records
"""

SECURED = """
listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,TLS:SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.tls.ssl.client.auth=required
listener.name.tls.ssl.principal.mapping.rules=RULE:^CN=(.*)$/$1/
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required {plain};
listener.name.sasl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""

AUDIT = "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug"
DECISION = re.compile(
    r"Principal = User:(\S+) is (?:Allowed|Denied) operation = (\w+) from host = \S+ on resource = "
    r"(\w+):LITERAL:(\S+) for request = .* based on rule (.*)"
)
BY_ACL = re.compile(
    r"resourceType=(\w+), resourceName='?([^',]+)'?, patternType=(\w+), .*operation=(\w+), permissionType=ALLOW"
)

TYPES = {"topic": 2, "group": 3}  # Kafka's ResourceType and AclOperation
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8}
OPERATIONS |= {"DescribeConfigs": 10, "AlterConfigs": 11}
PATTERNS = {"literal": 3, "prefixed": 4}
ALLOW = 3


class Decision(NamedTuple):
    """What the authorizer decided, as its log has it.

    Allowed by which ACL, if it was one: a user's right as the table of rights has it.
    """

    user: str
    operation: str
    resource: str
    name: str
    right: Right | None


class Secured:
    """A running broker; `settings` are a user's."""

    def __init__(self, broker: LocalBroker, sasl: int, tls: int, authority: Authority) -> None:
        self.broker = broker
        self.sasl = f"{HOST}:{sasl}"
        self.tls = f"{HOST}:{tls}"
        self.authority = authority

    def settings(self, base: Settings, user: str, mechanism: str = "SCRAM-SHA-256", **fields: Any) -> Settings:
        """`base` as a user who comes by SASL_SSL."""
        values: dict[str, Any] = {
            "bootstrap_servers": self.sasl,
            "kafka_security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "ssl_cafile": str(self.authority.cafile),
        }
        if mechanism == "OAUTHBEARER":
            values["sasl_oauth_token_file"] = str(token_file(self.authority.directory, user))
        else:
            values |= {"sasl_username": user, "sasl_password": password(user)}
        return msgspec.structs.replace(base, **values | fields)

    def by_certificate(self, base: Settings, user: str, key_password: str = "") -> Settings:
        """`base` as a user who comes with a client certificate."""
        return msgspec.structs.replace(
            base,
            bootstrap_servers=self.tls,
            kafka_security_protocol="SSL",
            ssl_cafile=str(self.authority.cafile),
            ssl_certfile=str(self.authority.issue(user, password=key_password)),
            ssl_keyfile_password=key_password,
        )

    async def grant(self, *rights: Right) -> None:
        """Give the users named as the roles these rights."""
        async with clients.admin(Settings(bootstrap_servers=self.broker.bootstrap)) as admin:
            await asyncio.gather(*(_create(admin, right) for right in rights))

    async def revoke(self, *rights: Right) -> None:
        """Take rights away."""
        async with clients.admin(Settings(bootstrap_servers=self.broker.bootstrap)) as admin:
            await asyncio.gather(*(_delete(admin, right) for right in rights))

    def exercised(self, prefix: str) -> set[Right]:
        """The rights under a prefix that were asked for as such: a Read that only served to Describe is too much."""
        return {
            one.right
            for one in self.decisions()
            if one.right and one.right.name.startswith(prefix) and one.operation == one.right.operation
        }

    def decisions(self) -> Iterator[Decision]:
        """All that the authorizer has decided so far, but for the super user."""
        for line in broker_files.log(self.broker.directory).read_text(errors="replace").splitlines():
            found = DECISION.search(line)
            if found and found[1] != "ANONYMOUS":
                user, operation, resource, name, rule = found.groups()
                yield Decision(user, _spelled(operation), resource.lower(), name, _right(user, rule))


def _right(user: str, rule: str) -> Right | None:
    found = BY_ACL.search(rule)
    if not found:
        return None
    resource, name, pattern, operation = found.groups()
    kind: Any = resource.lower()
    how: Any = pattern.lower()
    return Right(role=user, resource=kind, name=name, pattern=how, operation=_spelled(operation))


def _spelled(operation: str) -> str:
    """DESCRIBE_CONFIGS as DescribeConfigs."""
    return "".join(word.capitalize() for word in operation.split("_"))


def password(user: str) -> str:
    """Every user's password is made of the name."""
    return f"{user}-secret"


def token_file(directory: Path, user: str, lasts_s: int = 3600) -> Path:
    """A file with an unsecured JWS for a user, which the broker takes unless it has expired."""
    now = time.time()
    header, claims = {"alg": "none"}, {"sub": user, "iat": now, "exp": now + lasts_s}
    token = ".".join(_encoded(part) for part in (header, claims)) + "."
    path = directory / f"{user}.token"
    path.write_text(token + "\n")
    return path


@asynccontextmanager
async def secured_broker(directory: Path, jars: Path) -> AsyncIterator[Secured]:
    """Format, start and end a secured broker."""
    authority = Authority(directory, "test authority")
    port, sasl, tls = free_port(), free_port(), free_port()
    plain = " ".join(f'user_{user}="{password(user)}"' for user in USERS)
    properties = SECURED.format(
        port=port,
        controller_port=port + 1,
        sasl=sasl,
        tls=tls,
        keystore=authority.issue("broker"),
        truststore=authority.cafile,
        module="org.apache.kafka.common.security",
        plain=plain,
    )
    await asyncio.to_thread(_format, directory, jars, port)
    broker = LocalBroker(directory, jars=jars, port=port, properties=properties)
    with _audited():
        await broker.start()
    try:
        yield Secured(broker, sasl, tls, authority)
    finally:
        await broker.stop()


@contextmanager
def _audited() -> Iterator[None]:
    """Java started in this block logs what the authorizer decides."""
    os.environ["JDK_JAVA_OPTIONS"] = AUDIT
    try:
        yield
    finally:
        del os.environ["JDK_JAVA_OPTIONS"]


def _format(directory: Path, jars: Path, port: int) -> None:
    """SCRAM credentials have to be there before anybody can come in to make them."""
    home = broker_files.home(directory)
    home.mkdir(parents=True)
    (home / "format.properties").write_text(FORMAT.format(port=port, controller_port=port + 1))
    scram = [
        word
        for user in USERS
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for word in ("--add-scram", f"{mechanism}=[name={user},password={password(user)}]")
    ]
    identity = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "a")
    tool = [find_java(), "-XX:TieredStopAtLevel=1", "-cp", f"{jars.absolute()}/*", "kafka.tools.StorageTool", "format"]
    subprocess.run(
        [*tool, "--cluster-id", identity, "--config", "format.properties", *scram],
        cwd=home,
        check=True,
        capture_output=True,
    )


async def _create(admin: Any, right: Right) -> None:
    response = await admin._send_request(CreateAclsRequest(*_acl(right)))
    assert all(code == 0 for code, _ in response.creation_responses), response


async def _delete(admin: Any, right: Right) -> None:
    response = await admin._send_request(DeleteAclsRequest(*_acl(right)))
    assert all(len(found) == 1 for _, _, found in response.filter_responses), response


def _acl(right: Right) -> tuple[Any, ...]:
    where = (TYPES[right.resource], right.name, PATTERNS[right.pattern])
    return (*where, f"User:{right.role}", "*", OPERATIONS[right.operation], ALLOW)


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=")
