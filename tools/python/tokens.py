"""Development tokens: JWTs signed with the HS256 secret of a local suite (RFC 7519)."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def issue(secret: bytes, user: str, roles: list[str], tenant: str = "", lifetime_s: int = 3600,
          **claims) -> str:
    """A token for `user`. Extra claims replace those made here (tests make bad tokens with it)."""
    now = int(time.time())
    payload = {"sub": user, "roles": roles, "iss": "slipstream", "aud": "slipstream", "iat": now,
               "exp": now + lifetime_s}
    if tenant:
        payload["tenant"] = tenant
    payload.update(claims)
    head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _b64(json.dumps(payload).encode())
    signature = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_b64(signature)}"


def read_secret(path: Path) -> bytes:
    """The secret as the services read it: one trailing newline does not count."""
    secret = path.read_bytes()
    return secret[:-1] if secret.endswith(b"\n") else secret
