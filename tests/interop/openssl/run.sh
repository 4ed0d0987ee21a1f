#!/usr/bin/env bash
# OpenSSL on chains and revocation lists: live, revoked, stale, of two hours at once, and forged.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/interop/lib.sh
source "$here/../lib.sh"
need openssl openssl
need curl curl

work=$INTEROP_WORK/openssl
mkdir "$work"
one=$INTEROP_WORK/credentials/openssl
other=$INTEROP_WORK/credentials/openssl-other
anchors=$work/ca.pem
root=$work/root.pem
curl -sf "$TASKPASS_HTTP/ca.pem" -o "$anchors"
# The root by itself: what comes with the certificates must suffice.
openssl x509 -in "$anchors" -out "$root"

# point CERTIFICATE: the list that it names.
point() {
    openssl x509 -in "$1" -noout -ext crlDistributionPoints | grep -o 'http[^ ]*'
}

# list URL FILE: fetched now, in PEM.
list() {
    curl -sf "$1" | openssl crl -inform DER -out "$2"
}

# chain CERTIFICATE: its authority's, as it came with it.
chain() {
    openssl crl2pkcs7 -nocrl -certfile "$1" | openssl pkcs7 -print_certs |
        awk '/BEGIN/ { n++ } n > 1' >"$work/chain.pem"
    echo "$work/chain.pem"
}

# accepts WHAT OPTIONS...
accepts() {
    local what=$1 said
    shift
    said=$(openssl verify "$@" 2>&1) || fail "openssl accepts $what: $said"
    ok "openssl accepts $what"
}

# refuses WHAT REASON OPTIONS...
refuses() {
    local what=$1 reason=$2 said
    shift 2
    if said=$(openssl verify "$@" 2>&1); then
        fail "openssl accepted $what"
    fi
    grep -q "$reason" <<<"$said" || fail "openssl refuses $what: $said"
    ok "openssl refuses $what: $(sed -n 's/.* lookup: //p' <<<"$said" | head -n 1)"
}

leaf=$one/client/cert.pem
long=$one/long/cert.pem
svid=$one/svid/cert.pem
trust=(-x509_strict -CAfile "$root" -untrusted "$(chain "$leaf")")

for name in client long svid; do
    accepts "$name: the chain, strictly" "${trust[@]}" "$one/$name/cert.pem"
done
accepts "client: for TLS clients" "${trust[@]}" -purpose sslclient "$leaf"
refuses "client: for TLS servers" "unsuitable certificate purpose\|unsupported certificate purpose" \
    "${trust[@]}" -purpose sslserver "$leaf"
accepts "svid: for TLS servers" "${trust[@]}" -purpose sslserver "$svid"

# Not beneath these anchors, or not by who may.
sibling=$INTEROP_WORK/forged/sibling/cert.pem
refuses "a sibling authority's, with the same names" "certificate signature failure" \
    -CAfile "$root" -untrusted "$sibling" "$sibling"
refuses "what the authority did not sign" "certificate signature failure" \
    "${trust[@]}" "$INTEROP_WORK/forged/signature/cert.pem"
# OpenSSL does not even consider it as an issuer.
refuses "what a task's certificate signed" "unable to get local issuer" \
    -CAfile "$root" -untrusted "$INTEROP_WORK/forged/leaf-as-ca/cert.pem" \
    "$INTEROP_WORK/forged/leaf-as-ca/cert.pem"
identity=$INTEROP_WORK/dev/identities/invoice-bot
refuses "an agent's identity downstream" "unable to get local issuer" \
    -CAfile "$anchors" -untrusted "$identity/cert.pem" "$identity/cert.pem"
refuses "a task's certificate upstream" "unable to get local issuer" \
    -CAfile "$identity/ca.pem" -untrusted "$leaf" "$leaf"
ends=$(date -d "$(openssl x509 -in "$leaf" -noout -enddate | cut -d= -f2)" +%s)

# The edge says why. (A TLS 1.3 client hears of it after its own handshake.)
alert=$(sleep 1 | timeout 5 openssl s_client -connect "${TASKPASS_ADDR#https://}" -alpn h2 \
    -cert "$leaf" -key "$one/client/key.pem" -cert_chain "$leaf" -CAfile "$identity/ca.pem" 2>&1 |
    grep -o 'alert [a-z ]*' | head -n 1 || true)
[[ $alert == "alert unknown ca"* ]] || fail "the broker's edge answers a task's certificate with: ${alert:-nothing}"
ok "the broker's edge answers a task's certificate with: $alert"

# OpenSSL does not count notAfter in.
accepts "the second before notAfter" "${trust[@]}" -attime $((ends - 1)) "$leaf"
refuses "one second past notAfter" "certificate has expired" "${trust[@]}" -attime $((ends + 1)) "$leaf"

# Lists: of the hour in which one ends, of the hour in which the other does, of the root.
fetch_lists() {
    list "$(point "$leaf")" "$work/hour.pem"
    list "$(point "$long")" "$work/later.pem"
    cat "$work/hour.pem" "$work/later.pem" >"$work/both.pem"
    cat "$work/later.pem" "$work/hour.pem" >"$work/reversed.pem"
    cat "$work/both.pem" "$work/rootlist.pem" >"$work/all.pem"
}
list "$TASKPASS_HTTP/crl/root.crl" "$work/rootlist.pem"
fetch_lists
[[ $(point "$leaf") != "$(point "$long")" ]] || fail "two certificates of other hours are on one list"
ok "certificates of two hours name two lists"
checked=("${trust[@]}" -crl_check)
all=("${trust[@]}" -crl_check_all -CRLfile "$work/all.pem")
accepts "client: on its list, before" "${checked[@]}" -CRLfile "$work/hour.pem" "$leaf"
refuses "client: with the other hour's list only" "different CRL scope\|unable to get certificate CRL" \
    "${checked[@]}" -CRLfile "$work/later.pem" "$leaf"
accepts "long: with both lists loaded, before" "${checked[@]}" -CRLfile "$work/both.pem" "$long"
accepts "client: the whole chain, with the root's list, before" "${all[@]}" "$leaf"
refuses "client: the whole chain without the root's list" "unable to get certificate CRL" \
    "${trust[@]}" -crl_check_all -CRLfile "$work/both.pem" "$leaf"
accepts "client: by a clock that is 30 s behind" "${all[@]}" -attime $(($(date +%s) - 30)) "$leaf"
stale=$(date -d "$(openssl crl -in "$work/hour.pem" -noout -nextupdate | cut -d= -f2)" +%s)
((stale < ends)) || fail "the list is not over before the certificate is"
accepts "client: in the list's last second" \
    "${checked[@]}" -CRLfile "$work/hour.pem" -attime $((stale - 1)) "$leaf"
refuses "client: once the list is over" "CRL has expired" \
    "${checked[@]}" -CRLfile "$work/hour.pem" -attime $((stale + 1)) "$leaf"

# One certificate of one hour is revoked; then the whole task.
credential=$(sed 's/.*"long": "\([0-9A-Z]*\)".*/\1/' "$one/holder.json")
task=$(sed 's/.*"task": "\([0-9A-Z]*\)".*/\1/' "$one/holder.json")
"$INTEROP_TASKPASS" revoke --credential "$credential" --reason interop >"$work/revoke.out"
# seen OPTIONS...: polls until openssl says so; how long it took in milliseconds.
seen() {
    local began=${EPOCHREALTIME/./} now
    while fetch_lists && openssl verify "$@" >"$work/seen.out" 2>&1; do
        now=${EPOCHREALTIME/./}
        ((now - began < 3000000)) || fail "openssl does not see the revocation within 3 s"
    done
    now=${EPOCHREALTIME/./}
    echo "figure  revocation acknowledged -> openssl refuses, lists fetched each time: $(((now - began) / 1000)) ms"
}
seen "${checked[@]}" -CRLfile "$work/both.pem" "$long"
for order in both reversed; do
    refuses "long: revoked, lists loaded $order" "certificate revoked" \
        "${checked[@]}" -CRLfile "$work/$order.pem" "$long"
    accepts "client: not revoked, lists loaded $order" "${checked[@]}" -CRLfile "$work/$order.pem" "$leaf"
done
"$INTEROP_TASKPASS" revoke --task "$task" --reason interop >"$work/revoke.out"
seen "${checked[@]}" -CRLfile "$work/both.pem" "$leaf"
for name in client long svid; do
    refuses "$name: revoked, the whole chain" "certificate revoked" "${all[@]}" "$one/$name/cert.pem"
done
accepts "another task's, of the same lists" "${all[@]}" "$other/client/cert.pem"
