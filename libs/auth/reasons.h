// The ErrorInfo reasons of authentication and permission checks. Part of the public contract:
// clients switch on them, so they are never renamed.
#ifndef SLIPSTREAM_LIBS_AUTH_REASONS_H_
#define SLIPSTREAM_LIBS_AUTH_REASONS_H_

namespace slipstream::auth {

// With code UNAUTHENTICATED.
inline constexpr char kTokenMissing[] = "TOKEN_MISSING";
inline constexpr char kTokenMalformed[] = "TOKEN_MALFORMED";
inline constexpr char kTokenExpired[] = "TOKEN_EXPIRED";
inline constexpr char kTokenNotYetValid[] = "TOKEN_NOT_YET_VALID";
inline constexpr char kTokenBadSignature[] = "TOKEN_BAD_SIGNATURE";
inline constexpr char kTokenAlgorithmRefused[] = "TOKEN_ALGORITHM_REFUSED";
inline constexpr char kTokenBadIssuer[] = "TOKEN_BAD_ISSUER";
inline constexpr char kTokenBadAudience[] = "TOKEN_BAD_AUDIENCE";

// With code PERMISSION_DENIED.
inline constexpr char kPermissionDenied[] = "PERMISSION_DENIED";
inline constexpr char kActAsRefused[] = "ACT_AS_REFUSED";

// With code FAILED_PRECONDITION: the key file, or what it lacks.
inline constexpr char kKeyFileInvalid[] = "KEY_FILE_INVALID";
inline constexpr char kNoSigningKey[] = "NO_SIGNING_KEY";

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_REASONS_H_
