#!/usr/bin/env python3
"""Verifies a licence with nothing of ours: a stock JOSE library (joserfc) and OpenSSL.

usage: verify_license.py LICENSE TRUST_BUNDLE

LICENSE is a file with the compact JWS, TRUST_BUNDLE a file with trust anchors (PEM). Prints the claims as JSON and ends
with 0, or says on standard error why the licence is refused and ends with 1.
"""

import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

ALGORITHM = "ES256"
TYPE = "license+jwt"
LICENSOR_PURPOSE = x509.ObjectIdentifier("2.25.104752958.1")
LEEWAY = 60


class WithChain(jws.JWSRegistry):
    """The library takes headers of at most 512 octets unless told otherwise; a chain of certificates is longer."""

    max_header_length = 64 * 1024


REGISTRY = WithChain(algorithms=[ALGORITHM])


class Refused(Exception):
    """The licence is not valid."""


def chain_of(header):
    if header.get("alg") != ALGORITHM:
        raise Refused(f"alg is {header.get('alg')}, not {ALGORITHM}")
    if header.get("typ") != TYPE:
        raise Refused(f"typ is {header.get('typ')}, not {TYPE}")
    if not header.get("x5c"):
        raise Refused("no x5c")
    return [x509.load_der_x509_certificate(base64.b64decode(der, validate=True)) for der in header["x5c"]]


def check_path(chain, bundle, at):
    """The path to a trust anchor, by OpenSSL, at the time of issue."""

    def pem(certificates):
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)

    with tempfile.TemporaryDirectory() as folder:
        leaf, issuers = Path(folder, "leaf.pem"), Path(folder, "issuers.pem")
        leaf.write_bytes(pem(chain[:1]))
        issuers.write_bytes(pem(chain[1:]))
        command = ["openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", bundle]
        command += ["-attime", str(at), "-purpose", "sslclient"]
        if chain[1:]:
            command += ["-untrusted", issuers]
        ran = subprocess.run([*command, leaf], capture_output=True, text=True)
    if ran.returncode != 0:
        raise Refused(f"the chain does not hold: {(ran.stderr or ran.stdout).strip()}")


def check_leaf(leaf, claims):
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if LICENSOR_PURPOSE not in purposes:
        raise Refused("the certificate does not have the licensor purpose")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ids = [uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith("spiffe://")]
    if ids != [claims["iss"]]:
        raise Refused(f"iss is {claims['iss']}, the certificate is for {ids}")
    if claims["exp"] > leaf.not_valid_after_utc.timestamp():
        raise Refused("the licence outlives the certificate")


def verify(text, bundle):
    chain = chain_of(jws.extract_compact(text.encode(), registry=REGISTRY).headers())
    public_key = chain[0].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    token = jwt.decode(text, ECKey.import_key(public_key), registry=REGISTRY)
    claims = token.claims
    essential = {name: {"essential": True} for name in ["iss", "sub", "jti", "iat", "nbf", "exp", "license"]}
    jwt.JWTClaimsRegistry(now=int(time.time()), leeway=LEEWAY, **essential).validate(claims)
    check_path(chain, bundle, claims["iat"])
    check_leaf(chain[0], claims)
    return claims


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        claims = verify(Path(sys.argv[1]).read_text().strip(), sys.argv[2])
    except (Refused, JoseError, ValueError, x509.ExtensionNotFound) as error:
        print(f"refused: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(claims))


if __name__ == "__main__":
    main()
