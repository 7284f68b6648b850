// Finds what looks like a secret in a short free text.
//
// Thread safety: a pure function.
#ifndef SLIPSTREAM_LIBS_AUDIT_REDACT_H_
#define SLIPSTREAM_LIBS_AUDIT_REDACT_H_

#include <string>
#include <string_view>

namespace slipstream::audit {

// `text` with *** in place of: JWTs, what follows "Bearer" or "Basic", PEM blocks, webhook secrets
// (whsec_...), the user part of URLs (redis://user:password@host), and values named as a secret
// (password=..., "api_key": "...", token: ...). Runs in time linear in the text.
std::string RedactSecrets(std::string_view text);

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_REDACT_H_
