"""`python -m tests.supply.jars`, part of `make lock`: writes the lock of the local broker's jars anew."""

import re
import subprocess
import tempfile
from pathlib import Path

from streams.kafka.broker_lock import FILE, Jar, digest

POM = Path(__file__).parents[2] / "deploy/kafka/pom.xml"
LISTED = re.compile(
    r"^ +(?P<group>[^:\s]+):(?P<artifact>[^:]+):jar:(?P<version>[^:]+):(?:compile|runtime)\b", re.MULTILINE
)


def locked(pom: Path) -> list[Jar]:
    """What Maven resolves today, each with the digest of what it downloaded, whose checksum it verified."""
    with tempfile.TemporaryDirectory() as name:
        folder, listing = Path(name, "libs"), Path(name, "listing")
        maven = ["mvn", "-q", "-B", "-C", "-f", str(pom)]
        subprocess.run([*maven, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"], check=True)
        subprocess.run([*maven, "dependency:list", f"-DoutputFile={listing}"], check=True)
        return sorted(
            Jar(group, artifact, version, digest(folder / f"{artifact}-{version}.jar"))
            for group, artifact, version in LISTED.findall(listing.read_text("utf-8"))
        )


if __name__ == "__main__":
    POM.with_name(FILE).write_text("".join(f"{jar}\n" for jar in locked(POM)), "utf-8")
