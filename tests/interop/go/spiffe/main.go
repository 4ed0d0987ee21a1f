// Reads the trust bundle with go-spiffe, and verifies X.509-SVIDs and JWT-SVIDs by it.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"interop/report"
)

const ledger, cloud = "https://ledger.example", "https://cloud.example"

func chain(path ...string) []*x509.Certificate {
	rest, err := os.ReadFile(report.File(append(path, "cert.pem")...))
	var found []*x509.Certificate
	for block, rest := pem.Decode(rest); err == nil && block != nil; block, rest = pem.Decode(rest) {
		var one *x509.Certificate
		one, err = x509.ParseCertificate(block.Bytes)
		found = append(found, one)
	}
	if err != nil {
		report.Check(false, "%v", err)
	}
	return found
}

func certificates(bundle *spiffebundle.Bundle, held report.Holder) {
	expected := "spiffe://dev.taskpass.test/agent/invoice-bot/task/" + held.Task
	credentials := []string{"credentials", "go"}
	for _, name := range []string{"svid", "client"} {
		certificates := chain(append(credentials, name)...)
		id, _, err := x509svid.Verify(certificates, bundle)
		report.Check(err == nil && id.String() == expected, "go-spiffe verifies %s as %s", name, id)
		past := certificates[0].NotAfter.Add(time.Second)
		_, _, err = x509svid.Verify(certificates, bundle, x509svid.WithTime(past))
		is := err != nil && strings.Contains(err.Error(), "expired")
		report.Refused(err, is, "go-spiffe refuses %s one second past its end", name)
	}
	folder := report.File(append(credentials, "svid")...)
	svid, err := x509svid.Load(folder+"/cert.pem", folder+"/key.pem")
	report.Check(err == nil && svid.ID.String() == expected, "go-spiffe loads the SVID and its key")
	for _, its := range []struct{ what, reason, path string }{
		{"a sibling authority's", "unknown authority", "forged/sibling"},
		{"what the authority did not sign", "unknown authority", "forged/signature"},
		{"what a task's certificate signed", "parent certificate cannot sign", "forged/leaf-as-ca"},
		{"an agent's identity", "unknown authority", "dev/identities/invoice-bot"},
	} {
		_, _, err := x509svid.Verify(chain(strings.Split(its.path, "/")...), bundle)
		is := err != nil && strings.Contains(err.Error(), its.reason)
		report.Refused(err, is, "go-spiffe refuses %s", its.what)
	}
	_, _, err = x509svid.Verify(chain("credentials", "go", "svid")[1:], bundle)
	is := err != nil && strings.Contains(err.Error(), "ID")
	report.Refused(err, is, "go-spiffe refuses an authority as an SVID")
}

func tokens(bundle *spiffebundle.Bundle, held report.Holder) {
	svid, err := jwtsvid.ParseAndValidate(held.Cloud, bundle, []string{cloud})
	report.Check(err == nil, "go-spiffe verifies a token of the profile cloud as a JWT-SVID")
	report.Check(
		svid.ID.String() == "spiffe://dev.taskpass.test/agent/invoice-bot" && len(svid.Audience) == 1,
		"JWT-SVID: %s for %s", svid.ID, svid.Audience)
	_, err = jwtsvid.ParseAndValidate(held.Cloud, bundle, []string{ledger})
	is := err != nil && strings.Contains(err.Error(), "audience")
	report.Refused(err, is, "go-spiffe refuses it for another audience")
	_, err = jwtsvid.ParseAndValidate(held.Es256, bundle, []string{ledger})
	is = err != nil && strings.Contains(err.Error(), "typ")
	report.Refused(err, is, "go-spiffe refuses an access token as a JWT-SVID")
	_, err = jwtsvid.ParseAndValidate(held.Eddsa, bundle, []string{"https://archive.example"})
	report.Refused(err, err != nil, "go-spiffe refuses one of the other algorithm")
	head, rest, _ := strings.Cut(held.Cloud, ".")
	payload, _, _ := strings.Cut(rest, ".")
	_, err = jwtsvid.ParseAndValidate(head+"."+payload+".", bundle, []string{cloud})
	report.Refused(err, err != nil, "go-spiffe refuses it without its signature")
}

func main() {
	var held report.Holder
	report.Read(&held, "credentials", "go", "holder.json")
	domain := spiffeid.RequireTrustDomainFromString("dev.taskpass.test")
	bundle, err := spiffebundle.Parse(domain, report.Fetch("/spiffe/bundle"))
	if err != nil {
		report.Check(false, "go-spiffe reads the bundle: %v", err)
	}
	roots, keys := bundle.X509Authorities(), bundle.JWTAuthorities()
	report.Check(len(roots) >= 1 && len(keys) >= 1, "go-spiffe reads the bundle: %d roots, %d keys", len(roots), len(keys))
	sequence, known := bundle.SequenceNumber()
	report.Check(known && sequence > 0, "the bundle has the sequence %d", sequence)
	hint, known := bundle.RefreshHint()
	report.Check(known && hint > 0, "the bundle is to be fetched again after %s", hint)
	certificates(bundle, held)
	tokens(bundle, held)
}
