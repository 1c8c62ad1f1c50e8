"""Content credentials (C2PA manifests) in pictures, where `c2pa-python` is installed: signed, with a key of its own.

The key is made in the data folder when it is first needed, and its certificate is of an authority that nobody else
knows: a reader can tell that a picture is as this data folder signed it, not who that is.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
from pathlib import Path
from typing import Any

from PIL import Image

from adapters.errors import StudioError
from adapters.files import write_atomic, write_bytes
from pipelines.image_file import MAX_TEXT

FOLDER = "credentials"
MADE = "org.semblance.made"
"""The assertion that holds what the picture's own text says of how it was made."""
_VALID = datetime.timedelta(days=3650)
_TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def available() -> bool:
    """Whether this machine can sign and read them."""
    return all(importlib.util.find_spec(name) for name in ("c2pa", "cryptography"))


def sign(picture: Path, home: Path) -> bool:
    """Put a signed manifest into a PNG that the studio wrote; its pixels and text stay. False where that is not
    `available`. Raises StudioError when signing fails; the picture is then as it was."""
    if not available():
        return False
    import c2pa

    key, chain = _key_and_chain(home / FOLDER)
    manifest = {
        "claim_generator_info": [{"name": "Semblance"}], "title": picture.name, "format": "image/png",
        "assertions": [
            {"label": "c2pa.actions.v2",
             "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": _TRAINED}]}},
            {"label": MADE, "data": _made(picture)},
        ],
    }
    c2pa.load_settings({"builder": {"thumbnail": {"enabled": False}}})  # of a small picture it is the larger part
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None))
        with signer, c2pa.Builder(json.dumps(manifest)) as builder, picture.open("rb") as source:
            def write(to: Path) -> None:
                with to.open("w+b") as file:
                    builder.sign(signer, "image/png", source, file)

            write_atomic(picture, write)
    except c2pa.C2paError as error:
        raise StudioError(f"'{picture.name}' was painted and could not be signed ({str(error)[:150]}); take the key in "
                          f"'{FOLDER}' of the data folder away, and another is made.") from error
    return True


def sign_all(folder: Path, home: Path) -> int:
    """Sign every PNG under `folder` that says how it was made here and is not signed yet; how many there were."""
    if not available():
        return 0
    unsigned = [p for p in sorted(folder.rglob("*.png")) if _made(p) and read(p) is None]
    return sum(sign(p, home) for p in unsigned)


def read(picture: Path) -> dict[str, Any] | None:
    """`valid` (signature and content agree), `signer`, and `made`, of a picture with a manifest; None without one, or
    where that is not `available`."""
    if not available():
        return None
    import c2pa

    try:
        with c2pa.Reader(str(picture)) as reader:
            told = json.loads(reader.json())
            state = reader.get_validation_state()
    except c2pa.C2paError:
        return None  # no manifest, or none that can be read
    active = told.get("manifests", {}).get(told.get("active_manifest"))
    if active is None:
        return None
    made = next((a["data"] for a in active.get("assertions", ()) if a.get("label") == MADE), None)
    return {"valid": state in ("Valid", "Trusted"), "made": made,
            "signer": str(active.get("signature_info", {}).get("common_name", ""))[:100]}


def _made(picture: Path) -> dict[str, Any]:
    """The studio's own JSON in the picture."""
    with Image.open(picture) as image:
        text = image.info.get("semblance", "{}")
    found = json.loads(text) if isinstance(text, str) and len(text) <= MAX_TEXT else {}
    return found if isinstance(found, dict) else {}


def _key_and_chain(folder: Path) -> tuple[bytes, bytes]:
    """PEM of the key and of its certificates, the key's own first; made when they are not there."""
    file = folder / "studio.pem"
    if not file.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        write_bytes(file, b"".join(_new_key_and_chain()))  # in one file: two processes may do this at a time
        file.chmod(0o600)
    key, mark, chain = file.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    return key, mark + chain


def _new_key_and_chain() -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Semblance"),
                          x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def certificate(of: ec.EllipticCurvePrivateKey, name: str) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("Semblance data folder"))
                .public_key(of.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now)
                .not_valid_after(now + _VALID)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(of.public_key()), critical=False))

    above = (certificate(root, "Semblance data folder")
             .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
             .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), critical=True))
    below = (certificate(own, "Semblance studio")
             .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
             .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), critical=True)
             .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
             .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False))
    pem = serialization.Encoding.PEM
    chain = b"".join(c.sign(root, hashes.SHA256()).public_bytes(pem) for c in (below, above))
    key = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, chain
