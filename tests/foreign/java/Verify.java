// Verifies licences and entitlements with nothing of ours: java.security, and Jackson for JSON.
//
// usage: java -cp 'JARS/*' Verify.java [--entitlement] [--revocation-list FILE]... [--proof FILE] JWS TRUST_BUNDLE
//        java -cp 'JARS/*' Verify.java --vectors FILE
//
// JWS is a file with the compact JWS, TRUST_BUNDLE a file with trust anchors (PEM); revocation lists are DER. Prints the
// claims as JSON and ends with 0, or says on standard error why the licence is refused and ends with 1. With test vectors,
// prints a line of JSON for each.

import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayInputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.EdECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

public final class Verify {
    static final long LEEWAY = 60;
    static final int LONGEST_CHAIN = 8;
    static final int DIGITAL_SIGNATURE = 0, KEY_CERT_SIGN = 5, CRL_SIGN = 6;
    static final Map<String, String> PURPOSES =
            Map.of("license", "2.25.104752958.1", "entitlement", "2.25.104752958.3");
    static final Map<String, Set<String>> NEVER =
            Map.of("license", Set.of("aud"), "entitlement", Set.of("aud", "exp"));
    static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    // What header and claims are made of: "name" is a text that is not empty, "?" after a member says that it may be
    // absent; texts with a bar are all that may stand there.
    static final JsonNode SHAPES = shapes("""
            {"header": {"alg": "text", "typ": "text", "x5c": ["text"]},
             "license": {
               "iss": "name", "sub": "name", "jti": "name", "iat": "number", "nbf": "number", "exp": "number",
               "license": {
                 "vendor": "name", "module": "name", "owner": "name", "serial_number?": "text", "lease": "number",
                 "seats": "u32", "features?": ["text"]}},
             "entitlement": {
               "iss": "name", "sub": "name", "jti": "name", "iat": "number", "nbf": "number",
               "entitlement": {
                 "vendor": "name", "version": "number", "company": "text", "serial_number": "text", "time_zone": "text",
                 "dates?": {"expires?": "number", "grace_ends?": "number", "maintenance_ends?": "number",
                   "next_check?": "number", "first_warning?": "number"},
                 "modules?": [{
                   "name": "name", "title?": "text", "description?": "text", "kind?": "site|satellite|user",
                   "quantity": "u32", "expires?": "number", "features?": ["text"], "lease": "number",
                   "borrow?": {"longest": "number", "seats": "u32"}}],
                 "services?": [{
                   "name": "name", "title?": "text", "unit": "text", "aggregation?": "sum|maximum",
                   "allowance?": {"base?": "number", "per_user?": "number"},
                   "price?": {"minor_units": "number", "currency": "text", "per": "number"}}]}}}
            """);

    /** What a licence or an entitlement is checked against. */
    record Trust(List<X509Certificate> anchors, List<byte[]> revocationLists, String proof, long leeway) {}

    static final class Refused extends RuntimeException {
        Refused(String why) {
            super(why);
        }
    }

    static void require(boolean condition, String why) {
        if (!condition) throw new Refused(why);
    }

    // 1. Base64 in its only form.

    static byte[] base64(String text) {
        byte[] octets = Base64.getDecoder().decode(text);
        require(Base64.getEncoder().encodeToString(octets).equals(text), "base64 in another form than its own");
        return octets;
    }

    static byte[] base64url(String text) {
        byte[] octets = Base64.getUrlDecoder().decode(text);
        String encoded = Base64.getUrlEncoder().withoutPadding().encodeToString(octets);
        require(encoded.equals(text), "base64url in another form than its own");
        return octets;
    }

    // 2. JSON that can be read in one way only, and has the members that it should have.

    static JsonNode readJson(byte[] octets) throws Exception {
        String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(octets)).toString();
        try (var parser = JSON.createParser(text)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                require(token != JsonToken.VALUE_NULL, "null");
                require(!token.isNumeric() || isInteger(parser.getText()), "no integer that all can read");
            }
        }
        return JSON.readTree(text);
    }

    static boolean isInteger(String text) {
        return text.matches("0|[1-9][0-9]{0,15}") && Long.parseLong(text) < 1L << 53;
    }

    static boolean hasShape(JsonNode value, JsonNode shape) {
        if (shape.isObject()) {
            boolean matches = value.isObject();
            for (var member : shape.properties()) {
                String name = member.getKey().replace("?", "");
                JsonNode inner = value.get(name);
                matches &= inner == null ? !name.equals(member.getKey()) : hasShape(inner, member.getValue());
            }
            return matches;
        }
        if (shape.isArray()) {
            boolean matches = value.isArray();
            for (JsonNode element : value) matches &= hasShape(element, shape.get(0));
            return matches;
        }
        return switch (shape.textValue()) {
            case "number" -> value.isIntegralNumber();
            case "u32" -> value.isIntegralNumber() && value.longValue() < 1L << 32;
            case "text" -> value.isTextual();
            case "name" -> value.isTextual() && !value.textValue().isEmpty();
            default -> value.isTextual() && List.of(shape.textValue().split("\\|")).contains(value.textValue());
        };
    }

    static JsonNode shapes(String text) {
        try {
            return JSON.readTree(text);
        } catch (java.io.IOException error) {
            throw new IllegalStateException(error);
        }
    }

    // 3. The certificate of the signer, and its path to a trust anchor, at the time of issue.

    static X509Certificate certificate(byte[] der) throws GeneralSecurityException {
        var read = CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
        require(Arrays.equals(read.getEncoded(), der), "something follows a certificate, or it is not DER");
        return (X509Certificate) read;
    }

    static boolean may(X509Certificate certificate, int usage) {
        boolean[] usages = certificate.getKeyUsage();
        return usages == null || usages[usage];
    }

    static long seconds(Date date) {
        return date.getTime() / 1000;
    }

    static String checkLeaf(X509Certificate leaf, String kind, long issuedAt) throws GeneralSecurityException {
        require(issuedAt >= seconds(leaf.getNotBefore()), "issued before the certificate was valid");
        require(issuedAt < seconds(leaf.getNotAfter()), "issued after the certificate had expired");
        List<String> purposes = leaf.getExtendedKeyUsage();
        require(purposes != null && purposes.contains(PURPOSES.get(kind)), "the certificate does not have the purpose");
        require(may(leaf, DIGITAL_SIGNATURE), "the certificate's key is not for signatures");
        require(leaf.getBasicConstraints() == -1, "the signer is an authority");
        var uris = new ArrayList<String>();
        var names = leaf.getSubjectAlternativeNames();
        for (List<?> name : names == null ? List.<List<?>>of() : names) {
            if (name.get(0).equals(6)) uris.add((String) name.get(1));
        }
        boolean one = uris.size() == 1 && uris.get(0).startsWith("spiffe://");
        require(one, "the certificate has no SPIFFE ID, or several");
        return uris.get(0);
    }

    /** PKIX takes of an anchor its name and key alone; here the rest of it counts as well. */
    static void checkPath(List<X509Certificate> chain, List<X509Certificate> anchors, long at) throws Exception {
        var trusted = new HashSet<TrustAnchor>();
        for (X509Certificate anchor : anchors) {
            boolean inForce = seconds(anchor.getNotBefore()) <= at && at <= seconds(anchor.getNotAfter());
            if (inForce && anchor.getBasicConstraints() >= 0 && may(anchor, KEY_CERT_SIGN)) {
                trusted.add(new TrustAnchor(anchor, null));
            }
        }
        require(!trusted.isEmpty(), "no trust anchor was in force");
        var target = new X509CertSelector();
        target.setCertificate(chain.get(0));
        var parameters = new PKIXBuilderParameters(trusted, target);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(chain)));
        parameters.setDate(new Date(at * 1000));
        // Lists are looked at below, all of them.
        parameters.setRevocationEnabled(false);
        var built = (PKIXCertPathBuilderResult) CertPathBuilder.getInstance("PKIX").build(parameters);
        int between = built.getCertPath().getCertificates().size() - 1;
        int allowed = built.getTrustAnchor().getTrustedCert().getBasicConstraints();
        require(between <= allowed, "the path is longer than the anchor allows");
    }

    /** Whether this key signed the certificate: names and identifiers can be copied, signatures cannot. */
    static boolean isSignedBy(X509Certificate certificate, PublicKey key) {
        try {
            certificate.verify(key);
            return true;
        } catch (GeneralSecurityException error) {
            return false;
        }
    }

    // 4. Revocation lists: current, and signed by an anchor or an issuer of the chain.

    static void checkRevocation(
            List<X509Certificate> chain, List<X509Certificate> authorities, Trust trust, long now) throws Exception {
        for (byte[] der : trust.revocationLists()) {
            var factory = CertificateFactory.getInstance("X.509");
            var list = (X509CRL) factory.generateCRL(new ByteArrayInputStream(der));
            require(Arrays.equals(list.getEncoded(), der), "something follows a revocation list, or it is not DER");
            X509Certificate authority = null;
            for (X509Certificate by : authorities) {
                if (by.getSubjectX500Principal().equals(list.getIssuerX500Principal()) && isSignedBy(list, by)) {
                    authority = by;
                }
            }
            require(authority != null, "a revocation list is not signed by an authority of the chain");
            require(may(authority, CRL_SIGN), "an authority may not sign revocation lists");
            var critical = list.getCriticalExtensionOIDs();
            require(critical == null || critical.isEmpty(), "a revocation list has a critical extension");
            require(now + trust.leeway() >= seconds(list.getThisUpdate()), "a revocation list lies ahead");
            require(now - trust.leeway() < seconds(list.getNextUpdate()), "a revocation list is overdue");
            for (X509Certificate certificate : chain) {
                boolean on = list.getRevokedCertificate(certificate.getSerialNumber()) != null;
                require(!on || !isSignedBy(certificate, authority.getPublicKey()), "a certificate was revoked");
            }
        }
    }

    static boolean isSignedBy(X509CRL list, X509Certificate authority) {
        try {
            list.verify(authority.getPublicKey());
            return true;
        } catch (GeneralSecurityException error) {
            return false;
        }
    }

    // 5. A proof that the issue of the certificate is in the log of its issuer (RFC 9162 section 2.1.3, C2SP tlog-proof).

    static byte[] sha256(byte[]... parts) throws GeneralSecurityException {
        var digest = MessageDigest.getInstance("SHA-256");
        for (byte[] part : parts) digest.update(part);
        return digest.digest();
    }

    static long decimal(String text) {
        require(text.matches("0|[1-9][0-9]{0,14}"), "the proof has no number");
        return Long.parseLong(text);
    }

    static String after(String prefix, String line) {
        require(line.startsWith(prefix), "no tlog-proof");
        return line.substring(prefix.length());
    }

    static void checkProof(String proof, X509Certificate leaf, List<X509Certificate> authorities) throws Exception {
        var issuer = authorities.stream().filter(by -> isSignedBy(leaf, by.getPublicKey())).findFirst().orElseThrow();
        String[] halves = proof.split("\n\n", 2);
        String[] lines = halves[0].split("\n", -1);
        require(halves.length == 2 && lines.length >= 3 && lines[0].equals("c2sp.org/tlog-proof@v1"), "no tlog-proof");
        byte[] entry = base64(after("extra ", lines[1]));
        String[] note = halves[1].split("\n\n", 2);
        String[] checkpoint = note[0].split("\n", -1);
        require(note.length == 2 && checkpoint.length >= 3, "no checkpoint");

        byte[] keyHash = Arrays.copyOf(sha256(issuer.getPublicKey().getEncoded()), 4);
        // The source is ASCII, so that it is read alike under every locale: an em dash begins the line.
        String prefix = "\u2014 " + checkpoint[0] + " ";
        boolean signed = false;
        for (String line : note[1].split("\n")) {
            byte[] signature = line.startsWith(prefix) ? base64(line.substring(prefix.length())) : new byte[0];
            if (signature.length > 4 && Arrays.equals(keyHash, Arrays.copyOf(signature, 4))) {
                byte[] rest = Arrays.copyOfRange(signature, 4, signature.length);
                byte[] text = (note[0] + "\n").getBytes(StandardCharsets.UTF_8);
                signed |= isSigned("SHA256withECDSA", issuer.getPublicKey(), text, rest);
            }
        }
        require(signed, "the checkpoint is not signed by the issuer");

        long node = decimal(after("index ", lines[2]));
        long last = decimal(checkpoint[1]) - 1;
        require(node <= last, "the entry is not in the log");
        byte[] found = sha256(new byte[] {0}, entry);
        for (int i = 3; i < lines.length; i++) {
            byte[] beside = base64(lines[i]);
            require(last > 0 && beside.length == 32, "the proof is too long");
            if (node % 2 == 1 || node == last) {
                found = sha256(new byte[] {1}, beside, found);
                for (; node % 2 == 0 && node > 0; last /= 2) node /= 2;
            } else {
                found = sha256(new byte[] {1}, found, beside);
            }
            node /= 2;
            last /= 2;
        }
        require(last == 0 && Arrays.equals(found, base64(checkpoint[2])), "the entry is not in the log");

        var fields = protobuf(ByteBuffer.wrap(entry));
        boolean issue = Long.valueOf(100).equals(fields.get(1L)) || Long.valueOf(101).equals(fields.get(1L));
        boolean ofLeaf = fields.get(8L) instanceof byte[] digest && Arrays.equals(digest, sha256(leaf.getEncoded()));
        require(issue && ofLeaf, "the entry is about something else");
    }

    /** The fields of a message; numbers and octets are all that there is in an entry. */
    static Map<Long, Object> protobuf(ByteBuffer octets) {
        var fields = new HashMap<Long, Object>();
        while (octets.hasRemaining()) {
            long tag = varint(octets);
            long value = varint(octets);
            require(tag % 8 == 0 || tag % 8 == 2 && 0 <= value && value <= octets.remaining(), "the entry cannot be read");
            if (tag % 8 == 2) {
                byte[] content = new byte[(int) value];
                octets.get(content);
                fields.put(tag / 8, content);
            } else {
                fields.put(tag / 8, value);
            }
        }
        return fields;
    }

    static long varint(ByteBuffer octets) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte octet = octets.get();
            value |= (long) (octet & 0x7f) << shift;
            if (octet >= 0) return value;
        }
    }

    // 6. The signature: the key alone says which algorithm.

    static String algorithm(PublicKey key) throws GeneralSecurityException {
        if (key instanceof EdECPublicKey edwards && edwards.getParams().getName().equals("Ed25519")) return "EdDSA";
        if (!(key instanceof ECPublicKey)) return null;
        var parameters = AlgorithmParameters.getInstance("EC");
        parameters.init(((ECPublicKey) key).getParams());
        String curve = parameters.getParameterSpec(ECGenParameterSpec.class).getName();
        return Map.of("1.2.840.10045.3.1.7", "ES256", "1.3.132.0.34", "ES384").get(curve);
    }

    static void checkSignature(String algorithm, PublicKey key, String text, byte[] signature) {
        String name = Map.of("ES256", "SHA256withECDSAinP1363Format", "ES384", "SHA384withECDSAinP1363Format",
                "EdDSA", "Ed25519").get(algorithm);
        int length = algorithm.equals("ES384") ? 96 : 64;
        boolean signed = signature.length == length
                && isSigned(name, key, text.getBytes(StandardCharsets.US_ASCII), signature);
        require(signed, "the signature does not match");
    }

    static boolean isSigned(String algorithm, PublicKey key, byte[] text, byte[] octets) {
        try {
            var signature = Signature.getInstance(algorithm);
            signature.initVerify(key);
            signature.update(text);
            return signature.verify(octets);
        } catch (GeneralSecurityException error) {
            return false;
        }
    }

    // 7. All of it. What arrives is believed in no order but this one.

    static JsonNode verify(String jws, String kind, Trust trust, long now) throws Exception {
        String[] parts = jws.strip().split("\\.", -1);
        require(parts.length == 3, "it does not have three parts");
        JsonNode header = readJson(base64url(parts[0]));
        require(hasShape(header, SHAPES.get("header")), "a header of another form");
        String typ = header.get("typ").textValue();
        require(typ.equals(kind + "+jwt"), "typ is " + typ + ", not " + kind + "+jwt");
        require(!header.has("crit") && !header.has("b64"), "critical header members");
        JsonNode x5c = header.get("x5c");
        require(0 < x5c.size() && x5c.size() <= LONGEST_CHAIN, "x5c is empty or too long");
        var chain = new ArrayList<X509Certificate>();
        for (JsonNode der : x5c) chain.add(certificate(base64(der.textValue())));
        X509Certificate leaf = chain.get(0);
        var authorities = new ArrayList<>(chain.subList(1, chain.size()));
        authorities.addAll(trust.anchors());

        JsonNode claims = readJson(base64url(parts[1]));
        require(hasShape(claims, SHAPES.get(kind)), "claims of another form");
        for (String name : NEVER.get(kind)) require(!claims.has(name), "it has " + name);
        long iat = claims.get("iat").longValue();
        long nbf = claims.get("nbf").longValue();
        long exp = kind.equals("license") ? claims.get("exp").longValue() : Long.MAX_VALUE;
        require(nbf < exp, "it ends before it begins");

        String name = checkLeaf(leaf, kind, iat);
        checkPath(chain, trust.anchors(), iat);
        checkRevocation(chain, authorities, trust, now);
        if (trust.proof() != null) checkProof(trust.proof(), leaf, authorities);

        String expected = algorithm(leaf.getPublicKey());
        String alg = header.get("alg").textValue();
        require(alg.equals(expected), "alg is " + alg + ", not " + expected);
        checkSignature(expected, leaf.getPublicKey(), parts[0] + "." + parts[1], base64url(parts[2]));

        String iss = claims.get("iss").textValue();
        require(iss.equals(name), "iss is " + iss + ", the certificate is for " + name);
        require(now + trust.leeway() >= nbf, "it is not valid yet");
        require(now + trust.leeway() >= iat, "it was issued in the future");
        boolean fits = !kind.equals("license") || exp <= seconds(leaf.getNotAfter());
        require(fits, "the licence outlives the certificate");
        require(now - trust.leeway() < exp, "it has expired");
        return claims;
    }

    static void runVectors(Path file) throws Exception {
        JsonNode vectors = JSON.readTree(file.toFile());
        for (JsonNode vector : vectors.get("cases")) {
            var anchors = new ArrayList<X509Certificate>();
            for (JsonNode name : vector.get("anchors")) {
                anchors.add(certificate(vectors.get("anchors").get(name.textValue()).binaryValue()));
            }
            var lists = new ArrayList<byte[]>();
            for (JsonNode name : vector.path("revocation_lists")) {
                lists.add(vectors.get("revocation_lists").get(name.textValue()).binaryValue());
            }
            String proof = vectors.get("proofs").path(vector.path("proof").asText()).textValue();
            var trust = new Trust(anchors, lists, proof, vector.get("leeway").longValue());
            String reason = "";
            try {
                String kind = vector.get("kind").textValue();
                verify(vector.get("jws").textValue(), kind, trust, vector.get("now").longValue());
            } catch (Exception error) {
                reason = error.toString();
            }
            var line = JSON.createObjectNode().put("name", vector.get("name").textValue());
            System.out.println(line.put("accepted", reason.isEmpty()).put("reason", reason));
        }
    }

    public static void main(String[] arguments) throws Exception {
        String kind = "license";
        String proof = null;
        var lists = new ArrayList<byte[]>();
        var files = new ArrayList<Path>();
        for (int i = 0; i < arguments.length; i++) {
            switch (arguments[i]) {
                case "--entitlement" -> kind = "entitlement";
                case "--revocation-list" -> lists.add(Files.readAllBytes(Path.of(arguments[++i])));
                case "--proof" -> proof = Files.readString(Path.of(arguments[++i]));
                case "--vectors" -> {
                    runVectors(Path.of(arguments[++i]));
                    return;
                }
                default -> files.add(Path.of(arguments[i]));
            }
        }
        if (files.size() != 2) {
            System.err.println("usage: Verify [--entitlement] [--revocation-list FILE]... [--proof FILE] JWS TRUST_BUNDLE");
            System.exit(2);
        }
        var anchors = new ArrayList<X509Certificate>();
        try (var bundle = Files.newInputStream(files.get(1))) {
            for (var anchor : CertificateFactory.getInstance("X.509").generateCertificates(bundle)) {
                anchors.add((X509Certificate) anchor);
            }
        }
        try {
            long now = System.currentTimeMillis() / 1000;
            JsonNode claims = verify(Files.readString(files.get(0)), kind, new Trust(anchors, lists, proof, LEEWAY), now);
            new PrintStream(System.out, true, StandardCharsets.UTF_8).println(claims);
        } catch (Exception error) {
            System.err.println("refused: " + error.getMessage());
            System.exit(1);
        }
    }
}
