// Verifies tokens with go-oidc, by discovery, and with go-jose; and refuses what nobody may accept.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"interop/report"
)

const ledger, archive = "https://ledger.example", "https://archive.example"

var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA}

// byOIDC verifies as go-oidc does an ID token, at an instant, and checks the type, which it does not.
func byOIDC(provider *oidc.Provider, token, audience string, now time.Time) (*oidc.IDToken, error) {
	verifier := provider.Verifier(&oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{oidc.ES256, oidc.EdDSA},
		Now:                  func() time.Time { return now },
	})
	found, err := verifier.Verify(context.Background(), token)
	if err != nil {
		return nil, err
	}
	parsed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return nil, err
	}
	if parsed.Signatures[0].Header.ExtraHeaders["typ"] != "at+jwt" {
		return nil, errors.New("typ")
	}
	return found, nil
}

// byJOSE verifies with a key set.
func byJOSE(keys *jose.JSONWebKeySet, token string, expected jwt.Expected) (*jwt.Claims, error) {
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return nil, err
	}
	var claims jwt.Claims
	if err := parsed.Claims(keys, &claims); err != nil {
		return nil, err
	}
	return &claims, claims.ValidateWithLeeway(expected, 0)
}

func accepted(provider *oidc.Provider, keys *jose.JSONWebKeySet, held report.Holder) {
	for _, its := range []struct{ alg, token, audience, id string }{
		{"ES256", held.Es256, ledger, held.IDs["es256"]},
		{"EdDSA", held.Eddsa, archive, held.IDs["eddsa"]},
	} {
		found, err := byOIDC(provider, its.token, its.audience, time.Now())
		report.Check(err == nil, "go-oidc verifies %s by discovery%s", its.alg, said(err))
		var claims struct{ Jti, Scope string }
		err = found.Claims(&claims)
		report.Check(err == nil && claims.Jti == its.id, "%s: jti is the credential's id", its.alg)
		expected := jwt.Expected{Issuer: report.Issuer, AnyAudience: jwt.Audience{its.audience}, Time: time.Now()}
		_, err = byJOSE(keys, its.token, expected)
		report.Check(err == nil, "go-jose verifies %s%s", its.alg, said(err))
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What go-oidc says of each forgery, and what go-jose says.
var (
	algorithm = [2]string{"unexpected signature algorithm", "unexpected signature algorithm"}
	signature = [2]string{"failed to verify signature", "error in cryptographic primitive"}
	parts     = [2]string{"must have three parts", "must have three parts"}
	reasons   = map[string][2]string{
		"none":                               algorithm,
		"none, with a signature":             algorithm,
		"HS256 by the public key in PEM":     algorithm,
		"HS256 by the public key as a point": algorithm,
		"kid of the slot's next key":         signature,
		"kid of the other algorithm's slot":  signature,
		"alg of the other slot":              signature,
		"kid of no key":                      {"failed to verify signature", "JWK with matching kid not found"},
		"a scope more":                       signature,
		"another signature":                  signature,
		"a signature in DER":                 signature,
		"no signature":                       signature,
		"two parts":                          parts,
		"one part":                           parts,
		"no payload":                         signature,
		"four parts":                         parts,
		"half a signature":                   signature,
		"half a payload":                     signature,
		"half a header":                      {"malformed jwt", "unexpected end of JSON input"},
		"a status list":                      {"issued by a different provider", "invalid issuer claim"},
		"a token for a cloud":                {"expected audience", "invalid audience claim"},
	}
)

func forged(provider *oidc.Provider, keys *jose.JSONWebKeySet) {
	var tokens map[string]string
	report.Read(&tokens, "forged", "tokens.json")
	report.Check(len(tokens) == len(reasons), "there are %d forgeries", len(tokens))
	for _, name := range slices.Sorted(maps.Keys(tokens)) {
		_, err := byOIDC(provider, tokens[name], ledger, time.Now())
		report.Refused(err, strings.Contains(said(err), reasons[name][0]), "go-oidc refuses %s", name)
		expected := jwt.Expected{Issuer: report.Issuer, AnyAudience: jwt.Audience{ledger}, Time: time.Now()}
		_, err = byJOSE(keys, tokens[name], expected)
		report.Refused(err, strings.Contains(said(err), reasons[name][1]), "go-jose refuses %s", name)
	}
}

func elsewhere(provider *oidc.Provider, keys *jose.JSONWebKeySet, held report.Holder) {
	for _, audience := range []string{"https://other.example", ledger + "/", strings.ToUpper(ledger), ledger[:10]} {
		_, err := byOIDC(provider, held.Es256, audience, time.Now())
		report.Refused(err, strings.Contains(said(err), "expected audience"), "go-oidc refuses it for %s", audience)
		expected := jwt.Expected{AnyAudience: jwt.Audience{audience}, Time: time.Now()}
		_, err = byJOSE(keys, held.Es256, expected)
		report.Refused(err, errors.Is(err, jwt.ErrInvalidAudience), "go-jose refuses it for %s", audience)
	}
	_, err := byJOSE(keys, held.Es256, jwt.Expected{Issuer: report.Issuer + "/", Time: time.Now()})
	report.Refused(err, errors.Is(err, jwt.ErrInvalidIssuer), "go-jose refuses it of another issuer")
	found, err := byOIDC(provider, held.Es256, ledger, time.Now())
	report.Check(err == nil, "go-oidc accepts it now")
	_, err = byOIDC(provider, held.Es256, ledger, found.Expiry.Add(-time.Second))
	report.Check(err == nil, "go-oidc accepts it a second before its end")
	_, err = byOIDC(provider, held.Es256, ledger, found.Expiry.Add(time.Second))
	var over *oidc.TokenExpiredError
	report.Refused(err, errors.As(err, &over), "go-oidc refuses it a second past its end")
	_, err = byJOSE(keys, held.Es256, jwt.Expected{Time: found.Expiry.Add(time.Second)})
	report.Refused(err, errors.Is(err, jwt.ErrExpired), "go-jose refuses it a second past its end")
}

func main() {
	var held report.Holder
	report.Read(&held, "credentials", "go", "holder.json")
	provider, err := oidc.NewProvider(context.Background(), report.Issuer)
	report.Check(err == nil, "go-oidc discovers the issuer%s", said(err))
	_, err = oidc.NewProvider(context.Background(), report.Issuer+"/")
	report.Check(err != nil, "go-oidc minds an issuer with a slash too many: %v", err)
	var keys jose.JSONWebKeySet
	err = json.Unmarshal(report.Fetch("/.well-known/jwks.json"), &keys)
	report.Check(err == nil && len(keys.Keys) >= 2, "go-jose reads the %d keys", len(keys.Keys))
	for _, key := range keys.Keys {
		report.Check(key.Valid() && key.IsPublic(), "key %s is valid, public, for %s", key.KeyID, key.Algorithm)
	}
	accepted(provider, &keys, held)
	forged(provider, &keys)
	elsewhere(provider, &keys, held)
}
