"""Why was a call refused?  The one closed list: answer, audit field, metric label and manual all read it here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Code(StrEnum):
    """The coarse family a client acts on; part of every refusal's body."""

    AUTH_FAILED = "AUTH_FAILED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_REPLAYED = "TOKEN_REPLAYED"
    SCOPE_DENIED = "SCOPE_DENIED"
    CONSTRAINT_DENIED = "CONSTRAINT_DENIED"
    REAUTHENTICATION_REQUIRED = "REAUTHENTICATION_REQUIRED"
    RATE_LIMITED = "RATE_LIMITED"
    ROUTE_UNKNOWN = "ROUTE_UNKNOWN"
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    UNAVAILABLE = "UNAVAILABLE"


class Reason(StrEnum):
    """The exact cause of a refusal: log, audit, metric label, dynamic metadata; shown to clients only on request."""

    # decode and route
    REQUEST_MALFORMED = "request_malformed"
    HEADER_MALFORMED = "header_malformed"
    HEADER_LOOKALIKE = "header_lookalike"
    HEADER_DUPLICATED = "header_duplicated"
    HOST_MALFORMED = "host_malformed"
    PATH_MALFORMED = "path_malformed"
    PATH_AMBIGUOUS = "path_ambiguous"
    ROUTE_UNKNOWN = "route_unknown"
    ROUTE_CONDITION_UNMET = "route_condition_unmet"
    ROUTE_NAME_UNKNOWN = "route_name_unknown"
    ROUTE_NAME_MISMATCH = "route_name_mismatch"
    # credential
    CREDENTIAL_MISSING = "credential_missing"
    CREDENTIAL_DUPLICATED = "credential_duplicated"
    CREDENTIAL_SCHEME_REFUSED = "credential_scheme_refused"
    CREDENTIALS_DISAGREE = "credentials_disagree"
    REPEATS_REQUESTED = "repeats_requested"
    CROSS_SITE_REQUEST = "cross_site_request"
    # verify
    TOKEN_TOO_LARGE = "token_too_large"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_HEADER_REFUSED = "token_header_refused"
    TOKEN_TYPE_REFUSED = "token_type_refused"
    TOKEN_ALGORITHM_REFUSED = "token_algorithm_refused"
    TOKEN_ISSUER_UNKNOWN = "token_issuer_unknown"
    TOKEN_KEY_UNKNOWN = "token_key_unknown"
    TOKEN_SIGNATURE_INVALID = "token_signature_invalid"
    TOKEN_CLAIMS_INVALID = "token_claims_invalid"
    TOKEN_AUDIENCE_MISMATCH = "token_audience_mismatch"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_LIFETIME_TOO_LONG = "token_lifetime_too_long"
    MANDATE_MISSING = "mandate_missing"
    KEY_SET_UNAVAILABLE = "key_set_unavailable"
    TOKEN_NOT_ENCRYPTED = "token_not_encrypted"
    TOKEN_ENCRYPTION_REFUSED = "token_encryption_refused"
    TOKEN_ENCRYPTION_KEY_UNKNOWN = "token_encryption_key_unknown"
    TOKEN_DECRYPTION_FAILED = "token_decryption_failed"
    TOKEN_INACTIVE = "token_inactive"
    INTROSPECTION_UNAVAILABLE = "introspection_unavailable"
    VERIFIED_PAYLOAD_MISSING = "verified_payload_missing"
    SIGNATURE_MALFORMED = "signature_malformed"
    SIGNATURE_KEY_UNKNOWN = "signature_key_unknown"
    SIGNATURE_INCOMPLETE = "signature_incomplete"
    SIGNATURE_TIME_REFUSED = "signature_time_refused"
    SIGNATURE_INVALID = "signature_invalid"
    CONTENT_DIGEST_MISMATCH = "content_digest_mismatch"
    EVENT_UNNAMED = "event_unnamed"
    API_KEY_MALFORMED = "api_key_malformed"
    API_KEY_UNKNOWN = "api_key_unknown"
    API_KEY_EXPIRED = "api_key_expired"
    # bind
    TOKEN_UNBOUND = "token_unbound"
    BINDING_UNSUPPORTED = "binding_unsupported"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_HEADER_MALFORMED = "certificate_header_malformed"
    CERTIFICATE_HOP_UNTRUSTED = "certificate_hop_untrusted"
    CERTIFICATE_CONFLICT = "certificate_conflict"
    CERTIFICATE_MISMATCH = "certificate_mismatch"
    WORKLOAD_MISMATCH = "workload_mismatch"
    CERTIFICATE_DENIED = "certificate_denied"
    CERTIFICATE_EXPIRED = "certificate_expired"
    TRUST_DOMAIN_UNPROVEN = "trust_domain_unproven"
    DPOP_PROOF_MISSING = "dpop_proof_missing"
    DPOP_PROOF_INVALID = "dpop_proof_invalid"
    DPOP_NONCE_REQUIRED = "dpop_nonce_required"
    DPOP_KEY_MISMATCH = "dpop_key_mismatch"
    # authorize
    CLIENT_DENIED = "client_denied"
    MAY_CALL_DENIED = "may_call_denied"
    ROLE_MISSING = "role_missing"
    SCOPE_MISSING = "scope_missing"
    CONSTRAINT_UNKNOWN = "constraint_unknown"
    AUTHENTICATION_TOO_OLD = "authentication_too_old"
    REQUEST_MISMATCH = "request_mismatch"
    BODY_INCOMPLETE = "body_incomplete"
    BODY_NOT_BINARY_SAFE = "body_not_binary_safe"
    BODY_MALFORMED = "body_malformed"
    CONDITION_NOT_MET = "condition_not_met"
    CONDITION_FAILED = "condition_failed"
    REGION_DENIED = "region_denied"
    BRAND_DENIED = "brand_denied"
    ADDRESS_DENIED = "address_denied"
    NETWORK_DENIED = "network_denied"
    TIME_DENIED = "time_denied"
    AMOUNT_UNREADABLE = "amount_unreadable"
    AMOUNT_EXCEEDED = "amount_exceeded"
    # spend
    RATE_LIMITED = "rate_limited"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TOKEN_REPLAYED = "token_replayed"
    DPOP_PROOF_REPLAYED = "dpop_proof_replayed"
    SIGNATURE_REPLAYED = "signature_replayed"
    EVENT_REPEATED = "event_repeated"
    STORE_EPOCH = "store_epoch"
    STORE_CLOCK = "store_clock"
    STORE_NOT_PRIMARY = "store_not_primary"
    STORE_UNSAFE = "store_unsafe"
    STORE_UNAVAILABLE = "store_unavailable"
    DEADLINE_TOO_NEAR = "deadline_too_near"
    # attach
    NOT_OUTBOUND = "not_outbound"
    TOKEN_SOURCE_UNAVAILABLE = "token_source_unavailable"
    TOKEN_SOURCE_REFUSED = "token_source_refused"
    REQUEST_NOT_SIGNABLE = "request_not_signable"
    SIGNING_KEY_UNAVAILABLE = "signing_key_unavailable"
    # around
    CHECK_CANCELLED = "check_cancelled"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason looks like from outside: its family, its HTTP status, and one sentence for the manual."""

    code: Code
    status: int
    text: str


_C = Code
REASONS: Final[Mapping[Reason, Meaning]] = MappingProxyType(
    {
        Reason.REQUEST_MALFORMED: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "The CheckRequest itself is unusable: no HTTP attributes, or two readings of them.",
        ),
        Reason.HEADER_MALFORMED: Meaning(
            _C.MALFORMED_REQUEST, 400, "A header name is not a lower-case token, or a header is beyond the size limit."
        ),
        Reason.HEADER_LOOKALIKE: Meaning(
            _C.MALFORMED_REQUEST, 400, "A header turns into a protected one when `_` is read as `-` (`x_ott_subject`)."
        ),
        Reason.HEADER_DUPLICATED: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "A security header, or one that selects routes, came more than once or holds a comma.",
        ),
        Reason.HOST_MALFORMED: Meaning(_C.MALFORMED_REQUEST, 400, "The host is empty or outside the host grammar."),
        Reason.PATH_MALFORMED: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "The path does not start with `/`, is longer than 4096, or holds a bad escape or bytes no path may.",
        ),
        Reason.PATH_AMBIGUOUS: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "Proxies and servers read this path differently: dot or empty segments, `%2f`, `%5c`, `%00`, `\\`, "
            "or readings that match different routes.",
        ),
        Reason.ROUTE_UNKNOWN: Meaning(_C.ROUTE_UNKNOWN, 403, "No route of the policy matches; the default is to deny."),
        Reason.ROUTE_CONDITION_UNMET: Meaning(
            _C.ROUTE_UNKNOWN,
            403,
            "A route means this host, path and method, but its `headers` or `grpc` condition does not hold.",
        ),
        Reason.ROUTE_NAME_UNKNOWN: Meaning(
            _C.ROUTE_UNKNOWN,
            403,
            "Envoy's `context_extensions` name a route (`ott.route`) that the policy does not have.",
        ),
        Reason.ROUTE_NAME_MISMATCH: Meaning(
            _C.ROUTE_UNKNOWN, 403, "The route that Envoy names does not match this method, host and path."
        ),
        Reason.CREDENTIAL_MISSING: Meaning(
            _C.AUTH_FAILED, 401, "The header that carries the route's credential is absent."
        ),
        Reason.CREDENTIAL_DUPLICATED: Meaning(
            _C.MALFORMED_REQUEST, 400, "The credential's header came twice, or holds a comma (two values joined)."
        ),
        Reason.CREDENTIAL_SCHEME_REFUSED: Meaning(
            _C.AUTH_FAILED,
            401,
            "The credential came under another authentication scheme than the route takes, or a token that is bound to "
            "a DPoP key under another one than DPoP.",
        ),
        Reason.REPEATS_REQUESTED: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "The caller asks Envoy to send a call that is good once several times (`x-envoy-retry-on`), and it would.",
        ),
        Reason.CROSS_SITE_REQUEST: Meaning(
            _C.CONSTRAINT_DENIED,
            403,
            "The token came in a cookie, which browsers send by themselves, and the request does not show that the "
            "site itself made it (`Sec-Fetch-Site`, `Origin`).",
        ),
        Reason.TOKEN_TOO_LARGE: Meaning(_C.AUTH_FAILED, 401, "The token is longer than 8 KiB."),
        Reason.TOKEN_MALFORMED: Meaning(
            _C.AUTH_FAILED, 401, "Not a compact JWS: three non-empty base64url parts whose first two are JSON objects."
        ),
        Reason.TOKEN_HEADER_REFUSED: Meaning(
            _C.AUTH_FAILED, 401, "The JOSE header asks for something we do not do: `crit`, `b64: false`, `zip`."
        ),
        Reason.TOKEN_TYPE_REFUSED: Meaning(
            _C.AUTH_FAILED,
            401,
            "The JOSE header's `typ` is not that of the route's credential: `ott+jwt`, for a mandate `at+jwt`; or a "
            "foreign issuer's token may be an ID token.",
        ),
        Reason.TOKEN_ALGORITHM_REFUSED: Meaning(
            _C.AUTH_FAILED, 401, "The algorithm is not allowed for this issuer, or not the one of this key."
        ),
        Reason.TOKEN_ISSUER_UNKNOWN: Meaning(
            _C.AUTH_FAILED,
            401,
            "The issuer is not in the trust list, not for this kind of token, or not one of the route's `issuers`.",
        ),
        Reason.TOKEN_KEY_UNKNOWN: Meaning(_C.AUTH_FAILED, 401, "The issuer's key set has no key with this `kid`."),
        Reason.TOKEN_SIGNATURE_INVALID: Meaning(_C.AUTH_FAILED, 401, "The signature does not verify."),
        Reason.TOKEN_CLAIMS_INVALID: Meaning(
            _C.AUTH_FAILED, 401, "A claim is missing, of the wrong type, duplicated, or outside its grammar."
        ),
        Reason.TOKEN_AUDIENCE_MISMATCH: Meaning(_C.AUTH_FAILED, 401, "The token was minted for another audience."),
        Reason.TOKEN_NOT_YET_VALID: Meaning(
            _C.AUTH_FAILED, 401, "`iat`, `nbf` or `auth_time` lies further ahead of our clock than `clock.iat_lead`."
        ),
        Reason.TOKEN_EXPIRED: Meaning(_C.TOKEN_EXPIRED, 401, "`exp` and the leeway have passed; mint anew."),
        Reason.TOKEN_LIFETIME_TOO_LONG: Meaning(
            _C.AUTH_FAILED,
            401,
            "`exp` is not after `iat`, or more than 300 s after (a foreign issuer's: `max_lifetime`).",
        ),
        Reason.MANDATE_MISSING: Meaning(
            _C.AUTH_FAILED, 401, "The access token is no mandate: none of its `authorization_details` has that type."
        ),
        Reason.KEY_SET_UNAVAILABLE: Meaning(
            _C.UNAVAILABLE, 503, "The issuer's key set was not fetched yet, or not for too long to be believed."
        ),
        Reason.TOKEN_NOT_ENCRYPTED: Meaning(
            _C.AUTH_FAILED, 401, "The route asks for an encrypted token (`encrypted: true`) and this one is not."
        ),
        Reason.TOKEN_ENCRYPTION_REFUSED: Meaning(
            _C.AUTH_FAILED, 401, "The JWE header asks for anything but `ECDH-ES`, `A256GCM` and `cty: JWT`."
        ),
        Reason.TOKEN_ENCRYPTION_KEY_UNKNOWN: Meaning(
            _C.AUTH_FAILED, 401, "The token is encrypted, and we have no key (`decryption`) with its `kid`."
        ),
        Reason.TOKEN_DECRYPTION_FAILED: Meaning(
            _C.AUTH_FAILED, 401, "The encrypted token was changed, or encrypted with another key than its `kid` names."
        ),
        Reason.TOKEN_UNBOUND: Meaning(
            _C.AUTH_FAILED, 401, "The route asks for a bound token and this one carries no such binding."
        ),
        Reason.BINDING_UNSUPPORTED: Meaning(
            _C.AUTH_FAILED,
            401,
            "The token's `cnf` holds a binding that this route cannot prove; every member must hold.",
        ),
        Reason.CERTIFICATE_MISSING: Meaning(
            _C.AUTH_FAILED, 401, "A client certificate is asked for, by the token or the route, and Envoy sent none."
        ),
        Reason.CERTIFICATE_MALFORMED: Meaning(_C.AUTH_FAILED, 401, "The certificate that Envoy sent cannot be read."),
        Reason.CERTIFICATE_HEADER_MALFORMED: Meaning(
            _C.AUTH_FAILED,
            401,
            "The header that carries the certificate breaks its grammar; it counts as no certificate.",
        ),
        Reason.CERTIFICATE_HOP_UNTRUSTED: Meaning(
            _C.AUTH_FAILED,
            401,
            "XFCC has too few elements (or too many: `exact_hops`), or a proxy's outside `hop_identities`.",
        ),
        Reason.CERTIFICATE_CONFLICT: Meaning(
            _C.AUTH_FAILED,
            401,
            "The connection's certificate and the XFCC header disagree: forged, or a wrong mode.",
        ),
        Reason.CERTIFICATE_MISMATCH: Meaning(
            _C.AUTH_FAILED, 401, "The caller's certificate is not the one the token is bound to: a stolen token."
        ),
        Reason.WORKLOAD_MISMATCH: Meaning(
            _C.AUTH_FAILED, 401, "The peer's identity, as Envoy verified it, is not the token's `sub`."
        ),
        Reason.CLIENT_DENIED: Meaning(
            _C.CONSTRAINT_DENIED,
            403,
            "The token's `client_id` is not among the route's clients, or the caller not in the policy's `clients`.",
        ),
        Reason.MAY_CALL_DENIED: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The client's `may_call` does not reach this route, audience or host."
        ),
        Reason.ROLE_MISSING: Meaning(
            _C.SCOPE_DENIED, 403, "The client has not the route's roles, or none that grants a scope the route needs."
        ),
        Reason.SCOPE_MISSING: Meaning(_C.SCOPE_DENIED, 403, "The token lacks a scope that the route needs."),
        Reason.CONSTRAINT_UNKNOWN: Meaning(
            _C.CONSTRAINT_DENIED,
            403,
            "The token carries a restriction this version cannot enforce: a detail of another type, an unknown member.",
        ),
        Reason.AUTHENTICATION_TOO_OLD: Meaning(
            _C.REAUTHENTICATION_REQUIRED,
            401,
            "`auth_time` is absent or older than the route's `max_auth_age` (RFC 9470).",
        ),
        Reason.REQUEST_MISMATCH: Meaning(
            _C.AUTH_FAILED, 401, "The token is bound to another request by its `htm`, `htp` or `digest`."
        ),
        Reason.BODY_INCOMPLETE: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "The route judges the body, and Envoy did not say that it sent all of it (`with_request_body`).",
        ),
        Reason.BODY_NOT_BINARY_SAFE: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "The body came as text in which bytes may have been replaced by `!`: set Envoy's `pack_as_bytes`.",
        ),
        Reason.BODY_MALFORMED: Meaning(
            _C.MALFORMED_REQUEST, 400, "The route judges the body, and it is not JSON that every parser reads alike."
        ),
        Reason.CONDITION_NOT_MET: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The route's `when` does not hold, or a `deny_when` does."
        ),
        Reason.CONDITION_FAILED: Meaning(
            _C.CONSTRAINT_DENIED,
            403,
            "A condition could not be evaluated (a missing field, a wrong type); that is a refusal, never a pass.",
        ),
        Reason.REGION_DENIED: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The token or the route is for other regions than this server's (`region`)."
        ),
        Reason.BRAND_DENIED: Meaning(_C.CONSTRAINT_DENIED, 403, "The request is for another brand, or names none."),
        Reason.ADDRESS_DENIED: Meaning(_C.CONSTRAINT_DENIED, 403, "The caller's address is outside `cidr`."),
        Reason.NETWORK_DENIED: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The caller's network is not among `asn`, or is not known."
        ),
        Reason.TIME_DENIED: Meaning(_C.CONSTRAINT_DENIED, 403, "It is outside the hours of `time_of_day`."),
        Reason.AMOUNT_UNREADABLE: Meaning(
            _C.CONSTRAINT_DENIED, 403, "An amount is limited; the request's is missing, inexact or in another currency."
        ),
        Reason.AMOUNT_EXCEEDED: Meaning(_C.CONSTRAINT_DENIED, 403, "The request's amount is above `max_amount`."),
        Reason.RATE_LIMITED: Meaning(
            _C.RATE_LIMITED, 429, "Too many calls of this client and subject (`rate_limit`); the token is unspent."
        ),
        Reason.BUDGET_EXHAUSTED: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The mandate's `budget` does not have this much left; the token is unspent."
        ),
        Reason.TOKEN_REPLAYED: Meaning(_C.TOKEN_REPLAYED, 401, "The token was spent before."),
        Reason.STORE_EPOCH: Meaning(
            _C.TOKEN_EXPIRED,
            401,
            "The token, its DPoP proof or the mandate whose budget it draws on is older than the moment since which "
            "the used-list is known to be whole; mint anew.",
        ),
        Reason.STORE_CLOCK: Meaning(
            _C.UNAVAILABLE, 503, "The used-list's clock and ours differ by more than `clock.max_skew`."
        ),
        Reason.STORE_NOT_PRIMARY: Meaning(_C.UNAVAILABLE, 503, "The used-list's server is a replica."),
        Reason.STORE_UNSAFE: Meaning(
            _C.UNAVAILABLE, 503, "The used-list's server may evict keys (`maxmemory-policy` is not `noeviction`)."
        ),
        Reason.STORE_UNAVAILABLE: Meaning(
            _C.UNAVAILABLE, 503, "The used-list did not answer, or answered with an error."
        ),
        Reason.DEADLINE_TOO_NEAR: Meaning(
            _C.UNAVAILABLE, 503, "Too little of Envoy's deadline was left to spend, or it passed before we could allow."
        ),
        Reason.NOT_OUTBOUND: Meaning(
            _C.ROUTE_UNKNOWN,
            403,
            "The route attaches or signs, and Envoy did not say that this request leaves (`ott.direction: outbound`).",
        ),
        Reason.TOKEN_SOURCE_UNAVAILABLE: Meaning(
            _C.UNAVAILABLE, 503, "No token to attach could be had in time; the request did not leave."
        ),
        Reason.TOKEN_SOURCE_REFUSED: Meaning(
            _C.UNAVAILABLE, 503, "This workload gets no such token to attach, however often it asks; nothing left."
        ),
        Reason.REQUEST_NOT_SIGNABLE: Meaning(
            _C.MALFORMED_REQUEST,
            400,
            "The route signs a part of the request that is absent, comes twice, or would not arrive as it is.",
        ),
        Reason.SIGNING_KEY_UNAVAILABLE: Meaning(
            _C.UNAVAILABLE, 503, "The route signs with a key that this server does not have; nothing left."
        ),
        Reason.CHECK_CANCELLED: Meaning(
            _C.UNAVAILABLE, 503, "Envoy gave up waiting or the client left; written to the audit, answered to nobody."
        ),
        Reason.AUDIT_UNAVAILABLE: Meaning(
            _C.UNAVAILABLE, 503, "The decision could not be written to the audit, and the audit is required."
        ),
        Reason.INTERNAL_ERROR: Meaning(_C.UNAVAILABLE, 503, "A fault of ours; counted and logged by type."),
        Reason.CREDENTIALS_DISAGREE: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The route asks for several credentials (`all_of`), and they name two clients."
        ),
        Reason.TOKEN_INACTIVE: Meaning(
            _C.AUTH_FAILED, 401, "The token's issuer was asked (RFC 7662) and says that it is not active."
        ),
        Reason.INTROSPECTION_UNAVAILABLE: Meaning(
            _C.UNAVAILABLE, 503, "The token's issuer had to be asked (RFC 7662) and gave no usable answer in time."
        ),
        Reason.VERIFIED_PAYLOAD_MISSING: Meaning(
            _C.AUTH_FAILED,
            401,
            "The route has `verified_by: envoy`, and Envoy's `jwt_authn` did not say that it verified this very token.",
        ),
        Reason.SIGNATURE_MALFORMED: Meaning(
            _C.AUTH_FAILED, 401, "The headers that sign the request are missing in part, or break their grammar."
        ),
        Reason.SIGNATURE_KEY_UNKNOWN: Meaning(
            _C.AUTH_FAILED, 401, "No partner that the route takes has a key for this signature."
        ),
        Reason.SIGNATURE_INCOMPLETE: Meaning(
            _C.AUTH_FAILED,
            401,
            "The signature leaves out a component or a parameter that the route asks for.",
        ),
        Reason.SIGNATURE_TIME_REFUSED: Meaning(
            _C.TOKEN_EXPIRED, 401, "The signed instant lies outside the route's window; sign anew."
        ),
        Reason.SIGNATURE_INVALID: Meaning(
            _C.AUTH_FAILED, 401, "The request's signature does not verify under any key of the partner."
        ),
        Reason.CONTENT_DIGEST_MISMATCH: Meaning(
            _C.MALFORMED_REQUEST, 400, "`Content-Digest` is not that of the body, or has no algorithm that we take."
        ),
        Reason.EVENT_UNNAMED: Meaning(
            _C.MALFORMED_REQUEST, 400, "The route delivers each event once, and this request does not name its event."
        ),
        Reason.API_KEY_MALFORMED: Meaning(
            _C.AUTH_FAILED, 401, "Not an API key of ours: another form, or its checksum does not fit."
        ),
        Reason.API_KEY_UNKNOWN: Meaning(
            _C.AUTH_FAILED, 401, "No such API key, or its secret is another; which of the two is not told."
        ),
        Reason.API_KEY_EXPIRED: Meaning(_C.TOKEN_EXPIRED, 401, "The API key's time has ended."),
        Reason.CERTIFICATE_DENIED: Meaning(
            _C.CONSTRAINT_DENIED, 403, "The caller's certificate is none of those that the route lets in."
        ),
        Reason.CERTIFICATE_EXPIRED: Meaning(
            _C.TOKEN_EXPIRED,
            401,
            "The caller's certificate has ended since its connection began, or does not hold yet; connect anew.",
        ),
        Reason.TRUST_DOMAIN_UNPROVEN: Meaning(
            _C.AUTH_FAILED,
            401,
            "The caller's SPIFFE ID is of a trust domain whose own authorities did not sign its certificate.",
        ),
        Reason.DPOP_PROOF_MISSING: Meaning(
            _C.AUTH_FAILED, 401, "The token is bound to a key, and there is no `DPoP` header that proves it."
        ),
        Reason.DPOP_PROOF_INVALID: Meaning(
            _C.AUTH_FAILED, 401, "The DPoP proof does not hold for this request and token (RFC 9449 §4.3)."
        ),
        Reason.DPOP_NONCE_REQUIRED: Meaning(
            _C.AUTH_FAILED, 401, "The DPoP proof lacks a fresh nonce of ours; `DPoP-Nonce` brings one."
        ),
        Reason.DPOP_KEY_MISMATCH: Meaning(
            _C.AUTH_FAILED, 401, "The DPoP proof is of another key than the one the token is bound to: a stolen token."
        ),
        Reason.DPOP_PROOF_REPLAYED: Meaning(_C.TOKEN_REPLAYED, 401, "The DPoP proof was used before."),
        Reason.SIGNATURE_REPLAYED: Meaning(_C.TOKEN_REPLAYED, 401, "The signed request was used before."),
        Reason.EVENT_REPEATED: Meaning(
            _C.TOKEN_REPLAYED,
            409,
            "The event was delivered before; answered 409, or 200 where the route says so, and not delivered again.",
        ),
    }
)
