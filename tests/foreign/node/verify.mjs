// Verifies licences and entitlements with nothing of ours: jose, @peculiar/x509 and node:crypto.
//
// usage: node verify.mjs [--entitlement] [--revocation-list FILE]... [--proof FILE] JWS TRUST_BUNDLE
//        node verify.mjs --vectors FILE
//
// JWS is a file with the compact JWS, TRUST_BUNDLE a file with trust anchors (PEM); revocation lists are DER. Prints the
// claims as JSON and ends with 0, or says on standard error why the licence is refused and ends with 1. With test vectors,
// prints a line of JSON for each.

import "reflect-metadata";
import { createHash, verify as verifySignature, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as x509 from "@peculiar/x509";
import { compactVerify } from "jose";

const LEEWAY = 60;
const LONGEST_CHAIN = 8;
const ALGORITHMS = { prime256v1: "ES256", secp384r1: "ES384" };
const PURPOSES = { license: "2.25.104752958.1", entitlement: "2.25.104752958.3" };
const NEVER = { license: ["aud"], entitlement: ["aud", "exp"] };
// Critical extensions that are understood: basicConstraints, keyUsage, subjectAltName, extendedKeyUsage.
const UNDERSTOOD = ["2.5.29.19", "2.5.29.15", "2.5.29.17", "2.5.29.37"];

// What claims are made of: "name" is a text that is not empty, "?" after a member says that it may be absent.
const CLAIMS = { iss: "name", sub: "name", jti: "name", iat: "number", nbf: "number" };
const SHAPES = {
  license: { ...CLAIMS, exp: "number", license: {
    vendor: "name", module: "name", owner: "name", "serial_number?": "text", lease: "number", seats: "u32",
    "features?": ["text"] } },
  entitlement: { ...CLAIMS, entitlement: {
    vendor: "name", version: "number", company: "text", serial_number: "text", time_zone: "text",
    "dates?": { "expires?": "number", "grace_ends?": "number", "maintenance_ends?": "number", "next_check?": "number",
      "first_warning?": "number" },
    "modules?": [{
      name: "name", "title?": "text", "description?": "text", "kind?": /^(site|satellite|user)$/, quantity: "u32",
      "expires?": "number", "features?": ["text"], lease: "number", "borrow?": { longest: "number", seats: "u32" } }],
    "services?": [{
      name: "name", "title?": "text", unit: "text", "aggregation?": /^(sum|maximum)$/,
      "allowance?": { "base?": "number", "per_user?": "number" },
      "price?": { minor_units: "number", currency: "text", per: "number" } }] } },
};

class Refused extends Error {}

function require(condition, why) {
  if (!condition) throw new Refused(why);
}

// 1. Base64 in its only form. Buffer passes over what it does not know.

function decode(text, encoding = "base64") {
  const octets = Buffer.from(text, encoding);
  require(octets.toString(encoding) === text, `${encoding} in another form than its own`);
  return octets;
}

// 2. JSON that can be read in one way only, and has the members that it should have.

function readJson(octets) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  const value = JSON.parse(text);
  // JSON.parse keeps the last of two members, and no number as it was written. It is JSON, so a few tokens tell the rest.
  const names = [];
  for (const [token, string, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]|[^\s,:"{}[\]]+/g)) {
    if (token === "{" || token === "[") names.push(new Set());
    else if (token === "}" || token === "]") names.pop();
    else if (colon !== undefined) {
      const name = JSON.parse(string);
      require(!names.at(-1).has(name), `${name} stands twice`);
      names.at(-1).add(name);
    } else if (string === undefined && token !== "true" && token !== "false") {
      const integer = /^(0|[1-9][0-9]*)$/.test(token) && Number.isSafeInteger(Number(token));
      require(integer, `${token} is no integer that all can read`);
    }
  }
  return value;
}

function hasShape(value, shape) {
  if (Array.isArray(shape)) return Array.isArray(value) && value.every((element) => hasShape(element, shape[0]));
  if (shape instanceof RegExp) return typeof value === "string" && shape.test(value);
  if (typeof shape === "object") {
    return typeof value === "object" && !Array.isArray(value) && Object.entries(shape).every(([member, inner]) => {
      const name = member.replace("?", "");
      return Object.hasOwn(value, name) ? hasShape(value[name], inner) : member !== name;
    });
  }
  if (shape === "number" || shape === "u32") return typeof value === "number" && (shape === "number" || value < 2 ** 32);
  return typeof value === "string" && (shape === "text" || value !== "");
}

// 3. The certificate of the signer, and its path to a trust anchor, at the time of issue (RFC 5280 §6).

/** What the outermost length says is all that there is. */
function checkWhole(der) {
  const long = der[1] & 0x80 ? der[1] & 0x7f : 0;
  require(der.length > 2 && long <= 4, "no DER");
  const length = long ? der.readUIntBE(2, long) : der[1];
  require(der.length === 2 + long + length, "something follows, or is missing");
}

function readCertificate(der) {
  checkWhole(der);
  const facts = new x509.X509Certificate(der);
  const types = facts.extensions.map((extension) => extension.type);
  require(new Set(types).size === types.length, "an extension is there twice");
  const usage = facts.getExtension(x509.KeyUsagesExtension)?.usages;
  const constraints = facts.getExtension(x509.BasicConstraintsExtension);
  return {
    der, facts, openssl: new X509Certificate(der),
    from: facts.notBefore.getTime() / 1000,
    until: facts.notAfter.getTime() / 1000,
    keyId: facts.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    issuerKeyId: facts.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId,
    isAuthority: constraints?.ca === true,
    pathLength: constraints?.pathLength ?? Infinity,
    may: (flag) => usage === undefined || (usage & flag) !== 0,
  };
}

function checkLeaf(leaf, kind, issuedAt) {
  require(issuedAt >= leaf.from, "issued before the certificate was valid");
  require(issuedAt < leaf.until, "issued after the certificate had expired");
  const purposes = leaf.facts.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [];
  require(purposes.includes(PURPOSES[kind]), "the certificate does not have the purpose");
  require(leaf.may(x509.KeyUsageFlags.digitalSignature), "the certificate's key is not for signatures");
  require(!leaf.isAuthority, "the signer is an authority");
  const names = leaf.facts.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const uris = names.filter(({ type }) => type === "url").map(({ value }) => value);
  require(uris.length === 1 && uris[0].startsWith("spiffe://"), "the certificate has no SPIFFE ID, or several");
  return uris[0];
}

/** Whether it has the key that signed the other: names and identifiers can be copied, signatures cannot. */
function hasIssued(authority, certificate) {
  return certificate.openssl.checkIssued(authority.openssl) && certificate.openssl.verify(authority.openssl.publicKey);
}

/** Whether a path leads from a certificate, below which there are so many authorities, to an anchor. */
function leads(certificate, issuers, anchors, at, below = 0) {
  const understood = (extension) => !extension.critical || UNDERSTOOD.includes(extension.type);
  if (!certificate.facts.extensions.every(understood)) return false;
  const fits = (authority) =>
    authority.isAuthority && authority.may(x509.KeyUsageFlags.keyCertSign) && below <= authority.pathLength &&
    authority.from <= at && at <= authority.until && hasIssued(authority, certificate);
  return anchors.some(fits) || issuers.some((issuer) =>
    fits(issuer) && leads(issuer, issuers.filter((other) => other !== issuer), anchors, at, below + 1));
}

// 4. Revocation lists: current, and signed by an anchor or an issuer of the chain.

async function checkRevocation(chain, anchors, revocationLists, now, leeway) {
  const serial = (text) => BigInt(`0x${text}`);
  for (const der of revocationLists) {
    checkWhole(der);
    const list = new x509.X509Crl(der);
    const keyId = list.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
    const authority = [...chain.slice(1), ...anchors].find((by) => by.facts.subject === list.issuer && by.keyId === keyId);
    require(keyId && authority, "a revocation list is of no authority of the chain");
    require(authority.may(x509.KeyUsageFlags.cRLSign), "an authority may not sign revocation lists");
    require(await list.verify({ publicKey: authority.facts.publicKey }), "a revocation list is not signed by its authority");
    require(!list.extensions.some((extension) => extension.critical), "a revocation list has a critical extension");
    require(now + leeway >= list.thisUpdate.getTime() / 1000, "a revocation list lies ahead");
    require(now - leeway < list.nextUpdate.getTime() / 1000, "a revocation list is overdue");
    const revoked = new Set(list.entries.map((entry) => serial(entry.serialNumber)));
    for (const { issuerKeyId, facts } of chain) {
      require(issuerKeyId !== keyId || !revoked.has(serial(facts.serialNumber)), "a certificate was revoked");
    }
  }
}

// 5. A proof that the issue of the certificate is in the log of its issuer (RFC 9162 §2.1.3, C2SP tlog-proof).

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();

function decimal(text) {
  require(/^(0|[1-9][0-9]{0,14})$/.test(text), "the proof has no number");
  return Number(text);
}

/** Splits a text where a mark stands first. */
function cut(text, mark) {
  const at = text.indexOf(mark);
  require(at >= 0, "no tlog-proof");
  return [text.slice(0, at), text.slice(at + mark.length)];
}

function checkProof(proof, leaf, authorities) {
  const key = authorities.find((authority) => hasIssued(authority, leaf)).openssl.publicKey;
  const [head, note] = cut(proof, "\n\n");
  const [first, extra, index, ...hashes] = head.split("\n");
  require(first === "c2sp.org/tlog-proof@v1" && extra?.startsWith("extra ") && index?.startsWith("index "), "no tlog-proof");
  const entry = decode(extra.slice(6));
  const [text, signatures] = cut(note, "\n\n");
  const [origin, size, root] = text.split("\n");

  const keyHash = sha256(key.export({ type: "spki", format: "der" })).subarray(0, 4);
  const prefix = `— ${origin} `;
  const signed = signatures.split("\n").filter((line) => line.startsWith(prefix)).some((line) => {
    const signature = decode(line.slice(prefix.length));
    return signature.subarray(0, 4).equals(keyHash)
      && verifySignature("sha256", Buffer.from(`${text}\n`), key, signature.subarray(4));
  });
  require(signed, "the checkpoint is not signed by the issuer");

  let [node, last] = [decimal(index.slice(6)), decimal(size) - 1];
  require(node <= last, "the entry is not in the log");
  let found = sha256(Buffer.of(0), entry);
  const up = () => { node = Math.floor(node / 2); last = Math.floor(last / 2); };
  for (const beside of hashes.map((hash) => decode(hash))) {
    require(last > 0 && beside.length === 32, "the proof is too long");
    if (node % 2 === 1 || node === last) {
      found = sha256(Buffer.of(1), beside, found);
      while (node % 2 === 0 && node > 0) up();
    } else {
      found = sha256(Buffer.of(1), found, beside);
    }
    up();
  }
  require(last === 0 && found.equals(decode(root)), "the entry is not in the log");

  const fields = protobuf(entry);
  require([100, 101].includes(fields[1]) && sha256(leaf.der).equals(fields[8]), "the entry is about something else");
}

/** The fields of a message; numbers and octets are all that there is in an entry. */
function protobuf(octets) {
  const fields = {};
  let at = 0;
  const varint = () => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      require(at < octets.length, "the entry breaks off");
      value += (octets[at] & 0x7f) * factor;
      if (octets[at++] < 0x80) return value;
    }
  };
  while (at < octets.length) {
    const tag = varint();
    require([0, 2].includes(tag % 8), "the entry cannot be read");
    const value = varint();
    fields[Math.floor(tag / 8)] = tag % 8 === 0 ? value : octets.subarray(at, (at += value));
  }
  return fields;
}

// 6. All of it. What arrives is believed in no order but this one.

export async function verify(jws, kind, now, leeway, anchors, revocationLists = [], proof = undefined) {
  const parts = jws.trim().split(".");
  require(parts.length === 3, "it does not have three parts");
  const [headerOctets, claimsOctets] = parts.map((part) => decode(part, "base64url"));
  const header = readJson(headerOctets);
  require(hasShape(header, { alg: "text", typ: "text", x5c: ["text"] }), "a header of another form");
  require(header.typ === `${kind}+jwt`, `typ is ${header.typ}, not ${kind}+jwt`);
  require(!Object.hasOwn(header, "crit") && !Object.hasOwn(header, "b64"), "critical header members");
  require(header.x5c.length > 0 && header.x5c.length <= LONGEST_CHAIN, "x5c is empty or too long");
  const chain = header.x5c.map((der) => readCertificate(decode(der)));
  const [leaf, ...issuers] = chain;

  const claims = readJson(claimsOctets);
  require(hasShape(claims, SHAPES[kind]), "claims of another form");
  require(!NEVER[kind].some((name) => Object.hasOwn(claims, name)), `one of ${NEVER[kind]}`);
  require(kind !== "license" || claims.nbf < claims.exp, "it ends before it begins");

  const name = checkLeaf(leaf, kind, claims.iat);
  require(leads(leaf, issuers, anchors, claims.iat), "the chain does not lead to a trust anchor");
  await checkRevocation(chain, anchors, revocationLists, now, leeway);
  if (proof !== undefined) checkProof(proof, leaf, [...issuers, ...anchors]);

  // The key alone says which algorithm; what the header says must be that one.
  const key = leaf.openssl.publicKey;
  const expected = key.asymmetricKeyType === "ed25519" ? "EdDSA" : ALGORITHMS[key.asymmetricKeyDetails.namedCurve];
  require(expected !== undefined && header.alg === expected, `alg is ${header.alg}, not ${expected}`);
  await compactVerify(parts.join("."), key, { algorithms: [expected] });

  require(claims.iss === name, `iss is ${claims.iss}, the certificate is for ${name}`);
  require(now + leeway >= claims.nbf, "it is not valid yet");
  require(now + leeway >= claims.iat, "it was issued in the future");
  require(kind !== "license" || claims.exp <= leaf.until, "the licence outlives the certificate");
  require(kind !== "license" || now - leeway < claims.exp, "it has expired");
  return claims;
}

async function runVectors(file) {
  const vectors = JSON.parse(readFileSync(file, "utf8"));
  for (const { name, kind, jws, now, leeway, ...given } of vectors.cases) {
    const anchors = given.anchors.map((anchor) => readCertificate(decode(vectors.anchors[anchor])));
    const lists = (given.revocation_lists ?? []).map((list) => decode(vectors.revocation_lists[list]));
    let reason = "";
    try {
      await verify(jws, kind, now, leeway, anchors, lists, vectors.proofs[given.proof]);
    } catch (error) {
      reason = error.message || "refused";
    }
    console.log(JSON.stringify({ name, accepted: reason === "", reason }));
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    entitlement: { type: "boolean" }, "revocation-list": { type: "string", multiple: true, default: [] },
    proof: { type: "string" }, vectors: { type: "string" },
  },
});
if (values.vectors) {
  await runVectors(values.vectors);
} else if (positionals.length !== 2) {
  console.error("usage: node verify.mjs [--entitlement] [--revocation-list FILE]... [--proof FILE] JWS TRUST_BUNDLE");
  process.exit(2);
} else {
  const [jws, bundle] = positionals.map((file) => readFileSync(file, "utf8"));
  const anchors = x509.PemConverter.decode(bundle).map((der) => readCertificate(Buffer.from(der)));
  const lists = values["revocation-list"].map((file) => readFileSync(file));
  const proof = values.proof && readFileSync(values.proof, "utf8");
  try {
    const kind = values.entitlement ? "entitlement" : "license";
    console.log(JSON.stringify(await verify(jws, kind, Math.floor(Date.now() / 1000), LEEWAY, anchors, lists, proof)));
  } catch (error) {
    console.error(`refused: ${error.message}`);
    process.exit(1);
  }
}
