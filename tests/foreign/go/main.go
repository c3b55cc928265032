// Verifies licences and entitlements with nothing of ours: crypto/x509 and golang-jwt.
//
//	usage: verify [-entitlement] [-revocation-list FILE]... [-proof FILE] JWS TRUST_BUNDLE
//	       verify -vectors FILE
//
// JWS is a file with the compact JWS, TRUST_BUNDLE a file with trust anchors (PEM); revocation lists are DER. Prints the
// claims as JSON and ends with 0, or says on standard error why the licence is refused and ends with 1. With test vectors,
// prints a line of JSON for each.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	leeway       = 60
	longestChain = 8
)

// What claims are made of: "name" is a text that is not empty, "?" after a member says that it may be absent; texts with
// a bar are all that may stand there.
type (
	object map[string]any
	list   []any
)

var (
	purposes = map[string]asn1.ObjectIdentifier{"license": {2, 25, 104752958, 1}, "entitlement": {2, 25, 104752958, 3}}
	never    = map[string][]string{"license": {"aud"}, "entitlement": {"aud", "exp"}}
	shapes   = map[string]object{
		"license": {"iss": "name", "sub": "name", "jti": "name", "iat": "number", "nbf": "number", "exp": "number",
			"license": object{"vendor": "name", "module": "name", "owner": "name", "serial_number?": "text",
				"lease": "number", "seats": "u32", "features?": list{"text"}}},
		"entitlement": {"iss": "name", "sub": "name", "jti": "name", "iat": "number", "nbf": "number",
			"entitlement": object{"vendor": "name", "version": "number", "company": "text", "serial_number": "text",
				"time_zone": "text",
				"dates?": object{"expires?": "number", "grace_ends?": "number", "maintenance_ends?": "number",
					"next_check?": "number", "first_warning?": "number"},
				"modules?": list{object{"name": "name", "title?": "text", "description?": "text",
					"kind?": "site|satellite|user", "quantity": "u32", "expires?": "number", "features?": list{"text"},
					"lease": "number", "borrow?": object{"longest": "number", "seats": "u32"}}},
				"services?": list{object{"name": "name", "title?": "text", "unit": "text",
					"aggregation?": "sum|maximum", "allowance?": object{"base?": "number", "per_user?": "number"},
					"price?": object{"minor_units": "number", "currency": "text", "per": "number"}}}}},
	}
)

// refused ends a verification; verify makes an error of it.
type refused string

func require(condition bool, why string, values ...any) {
	if !condition {
		panic(refused(fmt.Sprintf(why, values...)))
	}
}

func must[T any](value T, err error) T {
	require(err == nil, "%v", err)
	return value
}

// 1. Base64 in its only form. Decode passes over line feeds.

func decode(encoding *base64.Encoding, text string) []byte {
	octets := must(encoding.DecodeString(text))
	require(encoding.EncodeToString(octets) == text, "base64 in another form than its own")
	return octets
}

// 2. JSON that can be read in one way only, and has the members that it should have.

func readJSON(octets []byte) object {
	require(utf8.Valid(octets) && json.Valid(octets), "no JSON in UTF-8")
	decoder := json.NewDecoder(bytes.NewReader(octets))
	decoder.UseNumber()
	value, isObject := readValue(decoder).(object)
	require(isObject, "no object")
	return value
}

func readValue(decoder *json.Decoder) any {
	switch token := must(decoder.Token()).(type) {
	case json.Delim:
		members, elements := object{}, list{}
		for decoder.More() {
			if token == '[' {
				elements = append(elements, readValue(decoder))
				continue
			}
			name := must(decoder.Token()).(string)
			_, known := members[name]
			require(!known, "%s stands twice", name)
			members[name] = readValue(decoder)
		}
		must(decoder.Token())
		if token == '[' {
			return elements
		}
		return members
	case json.Number:
		number, err := strconv.ParseInt(token.String(), 10, 64)
		exact := err == nil && strconv.FormatInt(number, 10) == token.String()
		require(exact && 0 <= number && number < 1<<53, "%s is no integer that all can read", token)
		return number
	case nil:
		panic(refused("null"))
	default:
		return token
	}
}

func hasShape(value, shape any) bool {
	switch shape := shape.(type) {
	case object:
		members, isObject := value.(object)
		for name, inner := range shape {
			bare := strings.TrimSuffix(name, "?")
			member, there := members[bare]
			if there && !hasShape(member, inner) || !there && bare == name {
				return false
			}
		}
		return isObject
	case list:
		elements, isList := value.(list)
		for _, element := range elements {
			if !hasShape(element, shape[0]) {
				return false
			}
		}
		return isList
	case string:
		number, isNumber := value.(int64)
		text, isText := value.(string)
		switch {
		case shape == "number":
			return isNumber
		case shape == "u32":
			return isNumber && number < 1<<32
		case strings.Contains(shape, "|"):
			return isText && text != "" && strings.Contains("|"+shape+"|", "|"+text+"|") && !strings.Contains(text, "|")
		default:
			return isText && (shape == "text" || text != "")
		}
	}
	return false
}

// 3. The certificate of the signer, and its path to a trust anchor, at the time of issue.

func checkLeaf(leaf *x509.Certificate, kind string, issuedAt time.Time) string {
	require(!issuedAt.Before(leaf.NotBefore), "issued before the certificate was valid")
	require(issuedAt.Before(leaf.NotAfter), "issued after the certificate had expired")
	found := false
	for _, purpose := range leaf.UnknownExtKeyUsage {
		found = found || purpose.Equal(purposes[kind])
	}
	require(found, "the certificate does not have the purpose")
	require(leaf.KeyUsage == 0 || leaf.KeyUsage&x509.KeyUsageDigitalSignature != 0, "the certificate's key is not for signatures")
	require(!leaf.IsCA, "the signer is an authority")
	require(len(leaf.URIs) == 1 && leaf.URIs[0].Scheme == "spiffe", "the certificate has no SPIFFE ID, or several")
	return leaf.URIs[0].String()
}

func checkPath(leaf *x509.Certificate, issuers, anchors []*x509.Certificate, at time.Time) {
	pool := func(certificates []*x509.Certificate) *x509.CertPool {
		pool := x509.NewCertPool()
		for _, certificate := range certificates {
			pool.AddCert(certificate)
		}
		return pool
	}
	// The purpose was read from the leaf; issuers carry none.
	must(leaf.Verify(x509.VerifyOptions{Roots: pool(anchors), Intermediates: pool(issuers), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}))
}

// 4. Revocation lists: current, and signed by an anchor or an issuer of the chain.

func checkRevocation(chain, authorities []*x509.Certificate, revocationLists [][]byte, now, leeway int64) {
	for _, der := range revocationLists {
		crl := must(x509.ParseRevocationList(der))
		require(len(crl.Raw) == len(der), "something follows a revocation list")
		signed := false
		for _, by := range authorities {
			named := bytes.Equal(by.RawSubject, crl.RawIssuer) && bytes.Equal(by.SubjectKeyId, crl.AuthorityKeyId)
			signed = signed || named && crl.CheckSignatureFrom(by) == nil
		}
		require(signed, "a revocation list is not signed by an authority of the chain")
		for _, extension := range crl.Extensions {
			require(!extension.Critical, "a revocation list has a critical extension")
		}
		require(now+leeway >= crl.ThisUpdate.Unix(), "a revocation list lies ahead")
		require(now-leeway < crl.NextUpdate.Unix(), "a revocation list is overdue")
		for _, certificate := range chain {
			for _, entry := range crl.RevokedCertificateEntries {
				ofIssuer := bytes.Equal(certificate.AuthorityKeyId, crl.AuthorityKeyId)
				require(!ofIssuer || entry.SerialNumber.Cmp(certificate.SerialNumber) != 0, "a certificate was revoked")
			}
		}
	}
}

// 5. A proof that the issue of the certificate is in the log of its issuer (RFC 9162 §2.1.3, C2SP tlog-proof).

func decimal(text string) uint64 {
	require(regexp.MustCompile(`^(0|[1-9][0-9]{0,14})$`).MatchString(text), "the proof has no number")
	return must(strconv.ParseUint(text, 10, 64))
}

func cut(text, mark string) (string, string) {
	before, after, found := strings.Cut(text, mark)
	require(found, "no tlog-proof")
	return before, after
}

func hash(parts ...[]byte) []byte {
	digest := sha256.Sum256(bytes.Join(parts, nil))
	return digest[:]
}

func checkProof(proof string, leaf *x509.Certificate, authorities []*x509.Certificate) {
	// Names and identifiers can be copied, signatures cannot: the issuer is whose key signed the leaf.
	var issuer *x509.Certificate
	for _, authority := range authorities {
		if issuer == nil && leaf.CheckSignatureFrom(authority) == nil {
			issuer = authority
		}
	}
	head, note := cut(proof, "\n\n")
	lines := strings.Split(head, "\n")
	require(len(lines) >= 3 && lines[0] == "c2sp.org/tlog-proof@v1", "no tlog-proof")
	extra, hasExtra := strings.CutPrefix(lines[1], "extra ")
	index, hasIndex := strings.CutPrefix(lines[2], "index ")
	require(hasExtra && hasIndex, "no tlog-proof")
	entry := decode(base64.StdEncoding, extra)
	text, signatures := cut(note, "\n\n")
	checkpoint := strings.Split(text, "\n")
	require(len(checkpoint) >= 3, "no checkpoint")

	key, isECDSA := issuer.PublicKey.(*ecdsa.PublicKey)
	keyHash, signed := hash(issuer.RawSubjectPublicKeyInfo)[:4], false
	for _, line := range strings.Split(signatures, "\n") {
		if encoded, named := strings.CutPrefix(line, "— "+checkpoint[0]+" "); named && isECDSA {
			signature, ofKey := bytes.CutPrefix(decode(base64.StdEncoding, encoded), keyHash)
			signed = signed || ofKey && ecdsa.VerifyASN1(key, hash([]byte(text+"\n")), signature)
		}
	}
	require(signed, "the checkpoint is not signed by the issuer")

	node, last := decimal(index), decimal(checkpoint[1])-1
	require(node <= last && last < 1<<50, "the entry is not in the log")
	found := hash([]byte{0}, entry)
	for _, line := range lines[3:] {
		beside := decode(base64.StdEncoding, line)
		require(last > 0 && len(beside) == sha256.Size, "the proof is too long")
		if node&1 == 1 || node == last {
			found = hash([]byte{1}, beside, found)
			for node&1 == 0 && node > 0 {
				node, last = node>>1, last>>1
			}
		} else {
			found = hash([]byte{1}, found, beside)
		}
		node, last = node>>1, last>>1
	}
	require(last == 0 && bytes.Equal(found, decode(base64.StdEncoding, checkpoint[2])), "the entry is not in the log")

	id, digest := issueEntry(entry)
	require((id == 100 || id == 101) && bytes.Equal(digest, hash(leaf.Raw)), "the entry is about something else")
}

// issueEntry reads fields 1 and 8 of a protobuf message; numbers and octets are all that there is in an entry.
func issueEntry(octets []byte) (id uint64, digest []byte) {
	varint := func() uint64 {
		value, length := binary.Uvarint(octets)
		require(length > 0, "the entry breaks off")
		octets = octets[length:]
		return value
	}
	for len(octets) > 0 {
		tag, value := varint(), varint()
		require(tag&7 == 0 || tag&7 == 2 && value <= uint64(len(octets)), "the entry cannot be read")
		if tag == 1<<3 {
			id = value
		}
		if tag == 8<<3|2 {
			digest = octets[:value]
		}
		if tag&7 == 2 {
			octets = octets[value:]
		}
	}
	return id, digest
}

// 6. All of it. What arrives is believed in no order but this one.

func verify(text, kind string, now, leeway int64, anchors []*x509.Certificate, lists [][]byte, proof *string) (claims object, err error) {
	defer func() {
		if why := recover(); why != nil {
			claims, err = nil, fmt.Errorf("%v", why)
		}
	}()
	parts := strings.Split(strings.TrimSpace(text), ".")
	require(len(parts) == 3, "it does not have three parts")
	header := readJSON(decode(base64.RawURLEncoding, parts[0]))
	require(hasShape(header, object{"alg": "text", "typ": "text", "x5c": list{"text"}}), "a header of another form")
	require(header["typ"] == kind+"+jwt", "typ is %s, not %s+jwt", header["typ"], kind)
	require(header["crit"] == nil && header["b64"] == nil, "critical header members")
	x5c := header["x5c"].(list)
	require(0 < len(x5c) && len(x5c) <= longestChain, "x5c is empty or too long")
	var chain []*x509.Certificate
	for _, der := range x5c {
		chain = append(chain, must(x509.ParseCertificate(decode(base64.StdEncoding, der.(string)))))
	}
	leaf, authorities := chain[0], append(chain[1:len(chain):len(chain)], anchors...)

	claims = readJSON(decode(base64.RawURLEncoding, parts[1]))
	require(hasShape(claims, shapes[kind]), "claims of another form")
	for _, name := range never[kind] {
		require(claims[name] == nil, "it has %s", name)
	}
	iat, nbf := claims["iat"].(int64), claims["nbf"].(int64)
	exp, ends := claims["exp"].(int64)
	require(!ends || nbf < exp, "it ends before it begins")

	name := checkLeaf(leaf, kind, time.Unix(iat, 0))
	checkPath(leaf, chain[1:], anchors, time.Unix(iat, 0))
	checkRevocation(chain, authorities, lists, now, leeway)
	if proof != nil {
		checkProof(*proof, leaf, authorities)
	}

	// The key alone says which algorithm; what the header says must be that one.
	expected := ""
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		expected = map[string]string{"P-256": "ES256", "P-384": "ES384"}[key.Curve.Params().Name]
	case ed25519.PublicKey:
		expected = "EdDSA"
	}
	require(expected != "" && header["alg"] == expected, "alg is %s, not %s", header["alg"], expected)
	signature := decode(base64.RawURLEncoding, parts[2])
	err = jwt.GetSigningMethod(expected).Verify(parts[0]+"."+parts[1], signature, leaf.PublicKey)
	require(err == nil, "the signature does not match")

	require(claims["iss"] == name, "iss is %s, the certificate is for %s", claims["iss"], name)
	require(now+leeway >= nbf, "it is not valid yet")
	require(now+leeway >= iat, "it was issued in the future")
	require(!ends || exp <= leaf.NotAfter.Unix(), "the licence outlives the certificate")
	require(!ends || now-leeway < exp, "it has expired")
	return claims, nil
}

type vectors struct {
	Anchors         map[string][]byte
	RevocationLists map[string][]byte `json:"revocation_lists"`
	Proofs          map[string]string
	Cases           []struct {
		Name, Kind, JWS string
		Now, Leeway     int64
		Anchors         []string
		RevocationLists []string `json:"revocation_lists"`
		Proof           *string
	}
}

func runVectors(file string) {
	var all vectors
	check(json.Unmarshal(check1(os.ReadFile(file)), &all))
	for _, this := range all.Cases {
		var anchors []*x509.Certificate
		for _, name := range this.Anchors {
			anchors = append(anchors, check1(x509.ParseCertificate(all.Anchors[name])))
		}
		var lists [][]byte
		for _, name := range this.RevocationLists {
			lists = append(lists, all.RevocationLists[name])
		}
		if this.Proof != nil {
			text := all.Proofs[*this.Proof]
			this.Proof = &text
		}
		_, err := verify(this.JWS, this.Kind, this.Now, this.Leeway, anchors, lists, this.Proof)
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		line := map[string]any{"name": this.Name, "accepted": err == nil, "reason": reason}
		fmt.Println(string(check1(json.Marshal(line))))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func check1[T any](value T, err error) T {
	check(err)
	return value
}

func main() {
	var lists [][]byte
	kind, proof := "license", (*string)(nil)
	entitlement := flag.Bool("entitlement", false, "the JWS is an entitlement")
	file := flag.String("vectors", "", "test vectors")
	flag.Func("revocation-list", "a revocation list (DER)", func(name string) error {
		der, err := os.ReadFile(name)
		lists = append(lists, der)
		return err
	})
	flag.Func("proof", "proof of the issue of the certificate", func(name string) error {
		text, err := os.ReadFile(name)
		proof = new(string)
		*proof = string(text)
		return err
	})
	flag.Parse()
	if *file != "" {
		runVectors(*file)
		return
	}
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if *entitlement {
		kind = "entitlement"
	}
	var anchors []*x509.Certificate
	for block, rest := pem.Decode(check1(os.ReadFile(flag.Arg(1)))); block != nil; block, rest = pem.Decode(rest) {
		anchors = append(anchors, check1(x509.ParseCertificate(block.Bytes)))
	}
	jws := string(check1(os.ReadFile(flag.Arg(0))))
	claims, err := verify(jws, kind, time.Now().Unix(), leeway, anchors, lists, proof)
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	check(json.NewEncoder(io.Writer(os.Stdout)).Encode(claims))
}
