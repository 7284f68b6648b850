// Owners for OpenSSL's objects, and the rule that our failures leave nothing in OpenSSL's
// per-thread error queue (gRPC and curl read that queue on the same threads).
#ifndef SLIPSTREAM_LIBS_AUTH_OPENSSL_PTR_H_
#define SLIPSTREAM_LIBS_AUTH_OPENSSL_PTR_H_

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <memory>

namespace slipstream::auth {

template <auto kFree>
struct OpenSslFree {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using MacPtr = std::unique_ptr<EVP_MAC, OpenSslFree<&EVP_MAC_free>>;
using MacCtxPtr = std::unique_ptr<EVP_MAC_CTX, OpenSslFree<&EVP_MAC_CTX_free>>;
using MdPtr = std::unique_ptr<EVP_MD, OpenSslFree<&EVP_MD_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, OpenSslFree<&EVP_MD_CTX_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, OpenSslFree<&EVP_PKEY_CTX_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpenSslFree<&EVP_PKEY_free>>;
using EcdsaSigPtr = std::unique_ptr<ECDSA_SIG, OpenSslFree<&ECDSA_SIG_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, OpenSslFree<&BN_clear_free>>;
using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, OpenSslFree<&OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, OpenSslFree<&OSSL_PARAM_free>>;

// Drops, at the end of its scope, the errors raised within it.
class OpenSslErrorMark {
 public:
  OpenSslErrorMark() { ERR_set_mark(); }
  ~OpenSslErrorMark() { ERR_pop_to_mark(); }
  OpenSslErrorMark(const OpenSslErrorMark&) = delete;
  OpenSslErrorMark& operator=(const OpenSslErrorMark&) = delete;
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_OPENSSL_PTR_H_
