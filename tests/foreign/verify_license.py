#!/usr/bin/env python3
"""Verifies licences and entitlements with nothing of ours: a stock JOSE library (joserfc), cryptography and OpenSSL.

usage: verify_license.py [--entitlement] [--revocation-list FILE]... [--proof FILE] JWS TRUST_BUNDLE
       verify_license.py --vectors FILE

JWS is a file with the compact JWS, TRUST_BUNDLE a file with trust anchors (PEM); revocation lists are DER. Prints the
claims as JSON and ends with 0, or says on standard error why the licence is refused and ends with 1. With test vectors,
prints a line of JSON for each.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import import_key

LEEWAY = 60
LONGEST_CHAIN = 8
ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384"}
PURPOSES = {"license": "2.25.104752958.1", "entitlement": "2.25.104752958.3"}
NEVER = {"license": ["aud"], "entitlement": ["aud", "exp"]}
# What claims are made of: "name" is a text that is not empty, "?" after a member says that it may be absent.
CLAIMS = {"iss": "name", "sub": "name", "jti": "name", "iat": "number", "nbf": "number"}
SHAPES = {
    "license": CLAIMS | {"exp": "number", "license": {
        "vendor": "name", "module": "name", "owner": "name", "serial_number?": "text", "lease": "number",
        "seats": "u32", "features?": ["text"]}},
    "entitlement": CLAIMS | {"entitlement": {
        "vendor": "name", "version": "number", "company": "text", "serial_number": "text", "time_zone": "text",
        "dates?": {date + "?": "number" for date in
                   ["expires", "grace_ends", "maintenance_ends", "next_check", "first_warning"]},
        "modules?": [{
            "name": "name", "title?": "text", "description?": "text", "kind?": {"site", "satellite", "user"},
            "quantity": "u32", "expires?": "number", "features?": ["text"], "lease": "number",
            "borrow?": {"longest": "number", "seats": "u32"}}],
        "services?": [{
            "name": "name", "title?": "text", "unit": "text", "aggregation?": {"sum", "maximum"},
            "allowance?": {"base?": "number", "per_user?": "number"},
            "price?": {"minor_units": "number", "currency": "text", "per": "number"}}]}},
}  # fmt: skip

# The algorithm that is EdDSA in licences is called Ed25519 by RFC 9864; the library warns of the older name.
warnings.simplefilter("ignore", SecurityWarning)


class WithChain(jws.JWSRegistry):
    """The library takes headers of at most 512 octets unless told otherwise; a chain of certificates is longer."""

    max_header_length = max_payload_length = 1 << 20


class Refused(Exception):
    """It is not valid."""


def require(condition, why):
    if not condition:
        raise Refused(why)


# 1. Base64 in its only form.


def base64_decode(text):
    require(re.fullmatch("[A-Za-z0-9+/]*={0,2}", text), "not base64")
    octets = base64.b64decode(text, validate=True)
    require(base64.b64encode(octets).decode() == text, "base64 in another form than its own")
    return octets


def base64url_decode(text):
    require(re.fullmatch("[A-Za-z0-9_-]*", text), "not base64url")
    return base64_decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))


# 2. JSON that can be read in one way only, and has the members that it should have.


def unique(members):
    names = [name for name, _ in members]
    require(len(names) == len(set(names)), "a member stands twice")
    return dict(members)


def integer(text):
    require(re.fullmatch("0|[1-9][0-9]{0,15}", text) and int(text) < 2**53, f"{text} is no integer that all can read")
    return int(text)


def without_null(value):
    require(value is not None, "null")
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else []:
        without_null(inner)
    return value


def read_json(octets):
    hooks = {"object_pairs_hook": unique, "parse_int": integer, "parse_float": integer, "parse_constant": integer}
    return without_null(json.loads(octets.decode(), **hooks))


def has_shape(value, shape):
    if isinstance(shape, dict):
        members = {name.rstrip("?"): (name.endswith("?"), inner) for name, inner in shape.items()}
        return isinstance(value, dict) and all(
            has_shape(value[name], inner) if name in value else optional for name, (optional, inner) in members.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(has_shape(element, shape[0]) for element in value)
    if isinstance(shape, set):
        return isinstance(value, str) and value in shape
    if shape in ("number", "u32"):
        return type(value) is int and (shape == "number" or value < 2**32)
    return isinstance(value, str) and (shape == "text" or value != "")


# 3. The certificate of the signer, and its path to a trust anchor, at the time of issue.


def check_leaf(leaf, kind, issued_at):
    require(issued_at >= leaf.not_valid_before_utc.timestamp(), "issued before the certificate was valid")
    require(issued_at < leaf.not_valid_after_utc.timestamp(), "issued after the certificate had expired")
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    require(x509.ObjectIdentifier(PURPOSES[kind]) in purposes, "the certificate does not have the purpose")
    usage = [extension.value for extension in leaf.extensions if extension.oid == x509.OID_KEY_USAGE]
    require(all(usage.digital_signature for usage in usage), "the certificate's key is not for signatures")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    require(len(uris) == 1 and uris[0].startswith("spiffe://"), "the certificate has no SPIFFE ID, or several")
    return uris[0]


def check_path(leaf, issuers, anchors, at):
    """By OpenSSL. It says nothing of purposes, which were read from the leaf."""

    def pem(certificates):
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)

    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ["leaf", "untrusted", "CAfile"]}
        for name, certificates in [("leaf", [leaf]), ("untrusted", issuers), ("CAfile", anchors)]:
            files[name].write_bytes(pem(certificates))
        command = ["openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-attime", str(at)]
        command += ["-CAfile", files["CAfile"]] + (["-untrusted", files["untrusted"]] if issuers else [])
        ran = subprocess.run([*command, files["leaf"]], capture_output=True, text=True)
    require(ran.returncode == 0, f"the chain does not hold: {(ran.stderr or ran.stdout).strip()}")
    constraints = [extension.value for extension in leaf.extensions if extension.oid == x509.OID_BASIC_CONSTRAINTS]
    require(not any(constraint.ca for constraint in constraints), "the chain does not hold: the leaf is an authority")


# 4. Revocation lists: current, and signed by an anchor or an issuer of the chain.


def key_id(certificate):
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def issuer_key_id(signed):
    return signed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier


def check_revocation(chain, anchors, revocation_lists, now, leeway):
    for der in revocation_lists:
        crl = x509.load_der_x509_crl(der)
        by = [c for c in chain[1:] + anchors if c.subject == crl.issuer and key_id(c) == issuer_key_id(crl)]
        require(by and crl.is_signature_valid(by[0].public_key()), "a revocation list is not signed by an authority")
        usage = by[0].extensions.get_extension_for_class(x509.KeyUsage).value
        require(usage.crl_sign, "an authority may not sign revocation lists")
        require(not any(e.critical for e in crl.extensions), "a revocation list has a critical extension")
        require(now + leeway >= crl.last_update_utc.timestamp(), "a revocation list lies ahead")
        require(now - leeway < crl.next_update_utc.timestamp(), "a revocation list is overdue")
        for certificate in chain:
            found = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            require(issuer_key_id(certificate) != issuer_key_id(crl) or not found, "a certificate was revoked")


# 5. A proof that the issue of the certificate is in the log of its issuer (RFC 9162 §2.1.3, C2SP tlog-proof).


def protobuf(octets):
    """The fields of a message; numbers and octets are all that there is in an entry."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            octet, at = octets[at], at + 1
            value, shift = value | (octet & 0x7F) << shift, shift + 7
            if octet < 0x80:
                return value

    while at < len(octets):
        tag = varint()
        require(tag & 7 in (0, 2), "the entry cannot be read")
        value = varint()
        if tag & 7 == 2:
            value, at = octets[at : at + value], at + value
        fields[tag >> 3] = value
    return fields


def decimal(text):
    require(re.fullmatch("0|[1-9][0-9]{0,14}", text), "the proof has no number")
    return int(text)


def check_proof(proof, leaf, authorities):
    issuer = next(c for c in authorities if is_issuer(c, leaf))
    head, note = proof.split("\n\n", 1)
    first, extra, index, *hashes_ = head.split("\n")
    require(first == "c2sp.org/tlog-proof@v1" and extra[:6] == "extra " and index[:6] == "index ", "no tlog-proof")
    entry, index = base64_decode(extra[6:]), decimal(index[6:])
    text, signatures = note.split("\n\n", 1)
    origin, size, root = text.split("\n")[:3]
    size, root = decimal(size), base64_decode(root)

    info = issuer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    prefix = f"— {origin} "
    signed = [base64_decode(line[len(prefix) :]) for line in signatures.splitlines() if line.startswith(prefix)]
    signed = [signature[4:] for signature in signed if signature[:4] == hashlib.sha256(info).digest()[:4]]
    require(signed, "the checkpoint is not signed by the issuer")
    issuer.public_key().verify(signed[0], f"{text}\n".encode(), ec.ECDSA(hashes.SHA256()))

    require(index < size, "the entry is not in the log")
    node, last = index, size - 1
    found = hashlib.sha256(b"\0" + entry).digest()
    for beside in map(base64_decode, hashes_):
        require(last > 0 and len(beside) == 32, "the proof is too long")
        if node & 1 or node == last:
            found = hashlib.sha256(b"\1" + beside + found).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + beside).digest()
        node, last = node >> 1, last >> 1
    require(last == 0 and found == root, "the entry is not in the log")

    fields = protobuf(entry)
    digest = hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).digest()
    require(fields.get(1) in (100, 101) and fields.get(8) == digest, "the entry is about something else")


def is_issuer(certificate, leaf):
    """Whether it has the key that signed the leaf: names and identifiers can be copied, signatures cannot."""
    try:
        leaf.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


# 6. All of it. What arrives is believed in no order but this one.


def verify(text, kind, now, leeway, anchors, revocation_lists=(), proof=None):
    text = text.strip()
    parts = text.split(".")
    require(len(parts) == 3, "it does not have three parts")
    header, _, _ = [base64url_decode(part) for part in parts]
    header = read_json(header)
    require(has_shape(header, {"alg": "text", "typ": "text", "x5c": ["text"]}), "a header of another form")
    require(header["typ"] == f"{kind}+jwt", f"typ is {header['typ']}, not {kind}+jwt")
    require(not {"crit", "b64"} & header.keys(), "critical header members")
    require(header["x5c"], "no x5c")
    require(len(header["x5c"]) <= LONGEST_CHAIN, "x5c is too long")
    chain = [x509.load_der_x509_certificate(base64_decode(der)) for der in header["x5c"]]
    leaf, issuers = chain[0], chain[1:]

    claims = read_json(base64url_decode(parts[1]))
    require(has_shape(claims, SHAPES[kind]), "claims of another form")
    require(not set(NEVER[kind]) & claims.keys(), f"one of {NEVER[kind]}")
    require(kind != "license" or claims["nbf"] < claims["exp"], "it ends before it begins")

    # The key alone says which algorithm; what the header says must be that one.
    key = leaf.public_key()
    edwards = isinstance(key, ed25519.Ed25519PublicKey)
    expected = "EdDSA" if edwards else ALGORITHMS.get(getattr(getattr(key, "curve", None), "name", None))
    require(expected and header["alg"] == expected, f"alg is {header['alg']}, not {expected}")
    public_key = import_key(
        key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "OKP" if edwards else "EC",
    )
    registry = WithChain(algorithms=[expected], strict_check_header=False)
    jws.deserialize_compact(text.encode(), public_key, registry=registry)
    jwt.JWTClaimsRegistry(now=now, leeway=leeway).validate(claims)

    name = check_leaf(leaf, kind, claims["iat"])
    check_path(leaf, issuers, anchors, claims["iat"])
    check_revocation(chain, anchors, revocation_lists, now, leeway)
    if proof is not None:
        check_proof(proof, leaf, issuers + anchors)
    require(claims["iss"] == name, f"iss is {claims['iss']}, the certificate is for {name}")
    if kind == "license":
        require(claims["exp"] <= leaf.not_valid_after_utc.timestamp(), "the licence outlives the certificate")
    return claims


def refusal(*arguments):
    """Why it is refused; nothing if it is not. Whatever cannot be read is refused."""
    try:
        return verify(*arguments), None
    except (Refused, JoseError, InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        return None, str(error) or type(error).__name__
    except (ValueError, TypeError, LookupError, StopIteration, RecursionError) as error:
        return None, f"it cannot be read: {error}"


def run_vectors(file):
    vectors = json.loads(Path(file).read_bytes())
    anchors = {name: x509.load_der_x509_certificate(base64.b64decode(der)) for name, der in vectors["anchors"].items()}
    lists = {name: base64.b64decode(der) for name, der in vectors["revocation_lists"].items()}
    for case in vectors["cases"]:
        _, reason = refusal(
            case["jws"], case["kind"], case["now"], case["leeway"], [anchors[name] for name in case["anchors"]],
            [lists[name] for name in case.get("revocation_lists", [])], vectors["proofs"].get(case.get("proof")),
        )  # fmt: skip
        print(json.dumps({"name": case["name"], "accepted": reason is None, "reason": reason or ""}))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--entitlement", action="store_true")
    parser.add_argument("--revocation-list", action="append", default=[])
    parser.add_argument("--proof")
    parser.add_argument("--vectors")
    options = parser.parse_args()
    if options.vectors:
        return run_vectors(options.vectors)
    if len(options.files) != 2:
        parser.error("a JWS and a trust bundle are needed")
    jws_file, bundle = map(Path, options.files)
    claims, reason = refusal(
        jws_file.read_text(), "entitlement" if options.entitlement else "license", int(time.time()), LEEWAY,
        x509.load_pem_x509_certificates(bundle.read_bytes()),
        [Path(file).read_bytes() for file in options.revocation_list],
        Path(options.proof).read_text(encoding="utf-8") if options.proof else None,
    )  # fmt: skip
    if reason is not None:
        sys.exit(f"refused: {reason}")
    print(json.dumps(claims))


if __name__ == "__main__":
    main()
