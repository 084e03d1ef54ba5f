"""Certificates for servers of a test: an authority that the test may trust, and what it signed, well and badly."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct

DAY = timedelta(days=1)


class Kind(Struct, frozen=True):
    """For which host, until how many days from now, signed by the authority or by nobody."""

    host: str = "127.0.0.1"
    days: int = 2
    by_authority: bool = True


KINDS = {
    "good": Kind(),
    "expired": Kind(days=-1),
    "self-signed": Kind(by_authority=False),
    "wrong-name": Kind(host="crm.example.com"),
}


def make(directory: Path) -> None:
    """Write `authority.pem`, and a file with certificate and key for each kind."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Authority of a test")
    authority = _builder(name, name, key.public_key(), Kind()).add_extension(x509.BasicConstraints(True, None), True)
    made = authority.sign(key, hashes.SHA256())
    (directory / "authority.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    for word, kind in KINDS.items():
        (directory / f"{word}.pem").write_bytes(_leaf(kind, name, key))


def context(directory: Path, kind: str) -> ssl.SSLContext:
    """The server's side of one of them."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / f"{kind}.pem")
    return made


def _leaf(kind: Kind, authority: x509.Name, authoritys_key: ec.EllipticCurvePrivateKey) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(kind.host)
    names = x509.SubjectAlternativeName([_host(kind.host)])
    builder = _builder(subject, authority if kind.by_authority else subject, key.public_key(), kind)
    made = builder.add_extension(names, False).sign(authoritys_key if kind.by_authority else key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, kind: Kind
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    valid = builder.not_valid_before(now - 3 * DAY).not_valid_after(now + kind.days * DAY)
    return valid.serial_number(x509.random_serial_number())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
