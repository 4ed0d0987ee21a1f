module interop

go 1.24.0

require (
	github.com/coreos/go-oidc/v3 v3.17.0
	github.com/go-jose/go-jose/v4 v4.1.3
	github.com/spiffe/go-spiffe/v2 v2.6.0
	golang.org/x/mod v0.20.0
)

require golang.org/x/oauth2 v0.28.0 // indirect
