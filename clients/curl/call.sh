#!/bin/sh
# A call from the ring to its end, in JSON.
set -eu

address="${RAPPORT_ADDRESS:-127.0.0.1:50051}"
number="+1202555$(printf '%04d' $(($$ % 10000)))"
# RAPPORT_CA names the authorities (PEM) that sign the server's certificate. With one that browsers trust, https:// alone does.
url="http://$address"
[ -z "${RAPPORT_CA:-}" ] || url="https://$address"

# rpc SERVICE/METHOD JSON: prints the answer; fails on an error, after saying which.
rpc() {
  set -- "$@" -H 'content-type: application/json'
  [ -z "${RAPPORT_TOKEN:-}" ] || set -- "$@" -H "authorization: Bearer $RAPPORT_TOKEN"
  [ -z "${RAPPORT_CA:-}" ] || set -- "$@" --cacert "$RAPPORT_CA"
  path="$1" json="$2"
  shift 2
  curl --silent --show-error --fail-with-body --max-time 10 "$url/$path" "$@" --data "$json"
}

# name JSON: the resource name of what was answered.
name() { printf '%s' "$1" | sed -n 's/^{"name":"\([^"]*\)".*/\1/p'; }

party="$(rpc rapport.stakeholders.v1.PartyService/CreateParty '{"party": {
  "kind": "PARTY_KIND_INDIVIDUAL", "displayName": "Curl Example",
  "contactMedia": [{"kind": "MEDIUM_KIND_PHONE", "value": "'"$number"'"}]}}')"
printf 'created  %s\n' "$(name "$party")"

call="$(rpc rapport.interactions.v1.DeskService/BeginCall '{"budgetMs": 5000, "call": {
  "callId": "curl-'"$$"'", "direction": "DIRECTION_INBOUND", "agent": "users/ana",
  "identifierUsed": {"scheme": "tel", "value": "'"$number"'"}}}')"
case "$call" in
  *"$(name "$party")"*) printf 'ringing  %s is known\n' "$number" ;;
  *) printf 'the caller was not recognised: %s\n' "$call" >&2; exit 1 ;;
esac

context="$(rpc rapport.interactions.v1.DeskService/GetAgentContext '{"budgetMs": 5000, "call": "'"$(name "$call")"'"}')"
case "$context" in
  *'Curl Example'*) printf 'context  %s bytes about Curl Example\n' "${#context}" ;;
  *) printf 'the context does not name the caller: %s\n' "$context" >&2; exit 1 ;;
esac

ended="$(rpc rapport.interactions.v1.DeskService/EndCall '{"disposition": "CALL_DISPOSITION_HANDLED",
  "wrapUp": "asked for the opening hours", "call": {"callId": "curl-'"$$"'"}}')"
case "$ended" in
  *'"interaction":"interactions/'*) printf 'ended    and recorded\n' ;;
  *) printf 'the call was not recorded: %s\n' "$ended" >&2; exit 1 ;;
esac
