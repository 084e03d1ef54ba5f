"""Apache Kafka in a container, for machines with a Docker engine.

Written after the image's documentation and never run where this was written, where no engine answers. testcontainers'
own Kafka class starts a Confluent image by a script of Confluent's, which `apache/kafka` does not have.
"""

import gc
import warnings
from contextlib import closing
from importlib import import_module
from typing import Any

from testcontainers.core.container import DockerContainer

from streams.kafka.broker_files import PROPERTIES
from streams.kafka.broker_jars import KAFKA
from streams.kafka.topics import RECORD_BYTES_MAX

docker: Any = import_module("docker")  # it ships no types


def engine_answers() -> bool:
    """Whether there is a Docker engine; without one this takes under a second."""
    with warnings.catch_warnings():
        # When nobody answers, the client leaves its socket to the garbage collector, unclosed.
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _pings()
        gc.collect()
    return answers


def _pings() -> bool:
    try:
        with closing(docker.from_env()) as client:
            return bool(client.ping())
    except docker.errors.DockerException:
        return False


class KafkaContainer(DockerContainer):
    """One KRaft broker with the local broker's properties; its port is chosen before, so that it can advertise it."""

    def __init__(self, port: int, controller_port: int) -> None:
        super().__init__(f"apache/kafka:{KAFKA}")
        self.bootstrap = f"127.0.0.1:{port}"
        text = PROPERTIES.format(port=port, controller_port=controller_port, record_bytes_max=RECORD_BYTES_MAX)
        for line in text.splitlines():
            name, given, value = line.partition("=")
            if given:
                self.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        self.with_env("KAFKA_LISTENERS", f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{controller_port}")
        self.with_env("KAFKA_LOG_DIRS", "/tmp/records")
        self.with_bind_ports(port, port)
