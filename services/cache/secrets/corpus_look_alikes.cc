// What only looks like a secret.
#include "absl/strings/str_cat.h"
#include "services/cache/secrets/corpus.h"

namespace slipstream::cache::secrets {

namespace {

using Samples = std::vector<Sample>;

std::string Random(size_t size, unsigned seed) { return Drawn(kAlnumAlphabet, size, seed); }

void AddAll(Samples& out, const char* name, std::initializer_list<const char*> texts) {
  for (const char* text : texts) out.push_back({name, text});
}

void AddProse(Samples& out) {
  AddAll(out, "documentation",
         {"The password must be at least 8 characters long.",
          "Password: must contain a digit and a capital letter.",
          "Reset your password: click the link that we sent you.",
          "Never share your password or API key with anybody.",
          "password: the user's password in plain text",
          "* `password` (string): the password of the account",
          "| password | string | required | the new password |",
          "Set the Authorization header: Bearer <token>",
          "Authorization: Bearer YOUR_TOKEN",
          "Authorization: Bearer ${TOKEN}",
          "Authorization: Bearer token authentication is used by all services",
          "WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\"",
          "WWW-Authenticate: Basic realm=\"Staging 2\"",
          "Access-Control-Allow-Headers: Authorization, Content-Type, X-Api-Key",
          "Vary: Authorization, Cookie",
          "The bearer of this letter-of-credit is entitled to 1000 shares",
          "An API key starts with sk- and is shown once.",
          "GitHub tokens begin with ghp_ or github_pat_ since 2021.",
          "A private key begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE "
          "KEY-----.",
          "Paste it here:\n-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
          "A JWT looks like eyJhbGciOi... and has three parts: header.payload.signature",
          "We use cookies: by continuing you accept our cookie policy.",
          "This site stores a session cookie; it is deleted when you close the browser.",
          "The token: a word or a part of one. The model reads 128000 tokens.",
          "The secret: practise every day.",
          "Our secret ingredient = love and butter",
          "key: value pairs are separated by commas",
          "Forgot password? Enter your e-mail address.",
          "passwords are hashed with bcrypt (cost 12)",
          "Use --password to pass the password, or --password-file for a file.",
          "usage: tool --token TOKEN --secret SECRET",
          "export API_KEY=<your key>",
          "export API_KEY=your-api-key-here",
          "export DB_PASSWORD=$(cat /run/secrets/db)",
          "password=${DB_PASSWORD}",
          "password: {{ .Values.db.password }}",
          "DB_PASSWORD=%DB_PASSWORD%",
          "postgres://user:${PASSWORD}@db:5432/app",
          "postgres://user:<password>@db:5432/app",
          "postgres://user:***@db:5432/app",
          "https://example.com/a:b@c",
          "ssh://git@github.com:22/owner/repo.git",
          "mailto:bob@example.com",
          "https://user@example.com/inbox",
          "http://localhost:8080/login?next=/password/reset"});
}

void AddFields(Samples& out) {
  AddAll(out, "empty or masked",
         {R"({"user":"bob","password":""})",
          R"({"password":null})",
          R"({"password": "***"})",
          R"({"password":"********","user":"bob"})",
          R"({"password":"[REDACTED]"})",
          R"({"password":"<hidden>"})",
          R"({"password":"xxxxxxxx"})",
          R"({"password":"${DB_PASSWORD}"})",
          R"({"password":"{{password}}"})",
          R"({"password":"•••••"})",
          "password=\nuser=bob\n",
          "password=&user=bob",
          "password: \nuser: bob",
          "password: ~\nuser: bob",
          "password: null\n",
          "password: \"\"\n",
          "<password></password>",
          "<password/>",
          R"({"secret":false})",
          R"({"password":true,"mfa":true})",
          R"({"api_key":null,"api_secret":""})",
          R"({"access_token":"","refresh_token":""})",
          "api_key=***&q=1",
          R"({"client_secret":"********"})",
          R"({"private_key":"-----"})"});
  AddAll(out, "fields about credentials",
         {R"({"password_policy":{"min_length":12}})",
          R"({"password_hint":"first pet"})",
          R"({"password_changed_at":"2026-01-01T00:00:00Z"})",
          R"({"passwordStrength":"strong"})",
          R"({"password_reset_url":"https://example.com/reset"})",
          R"({"has_password":true})",
          R"({"requires_password":"yes"})",
          R"({"reset_password":"/account/reset"})",
          R"({"secretary":"Mrs Smith"})",
          R"({"secret_santa":"Bob"})",
          R"({"top_secret":"no"})",
          R"({"token_type":"bearer","expires_in":3600})",
          R"({"max_tokens":4096,"tokens_used":17})",
          R"({"token_count":12345678})",
          R"({"next_page_token":"CAoQAA1xYz2345678901"})",
          R"({"nextToken":"AAMA-EFRSURBSGhpRzhRZ1BxMkx"})",
          R"({"token":"hello","lemma":"hello"})",
          R"({"tokens":["the","quick","brown","fox"]})",
          R"({"primary_key":"id","foreign_key":"user_id"})",
          R"({"key":"value","keys":["a","b"]})",
          R"({"public_key":"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="})",
          R"({"api_key_id":"k-17","api_keys_count":3})",
          R"({"cookie_consent":"accepted"})",
          R"({"authorization":"required"})",
          R"({"authorization":{"type":"oauth2"}})",
          R"({"authorization_endpoint":"https://id.example.com/authorize"})",
          R"({"access_token_url":"https://id.example.com/token"})",
          R"({"bearer":"Bob"})",
          R"({"pass":12,"fail":3})",
          R"({"passed":true,"passes":4})",
          R"({"compass":"north","bypass":"valve"})",
          R"({"boarding_pass":"LH 1234"})",
          R"({"monkey":"banana","turkey":"stuffed","keyboard":"qwerty"})",
          R"({"forgot_password":"Forgot your password?","login":"Log in"})",
          R"({"label.password":"Password","label.user":"User"})",
          R"({"password":"Password"})",
          R"({"password":"Passwort eingeben"})",
          R"({"password":"Enter your password"})",
          R"({"password":"Mot de passe"})",
          R"({"error":"invalid password","code":401})",
          R"({"properties":{"password":{"type":"string","minLength":8}}})",
          R"({"password":"string"})",
          R"({"required":["user","password"],"type":"object"})",
          R"({"fields":["password","token","secret"]})",
          R"({"name":"password","type":"password","label":"Password"})",
          R"(<input type="password" name="password" placeholder="Enter it" value="">)",
          R"(<label for="password">Password</label><input id="password">)",
          R"({"password_hash":"$2b$12$C6UzMDM.H6dfI/f/IKcEeO"})",
          R"({"secret_name":"prod/db"})",
          R"({"secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"})",
          R"({"password":"vault:kv/prod/db#password"})",
          "password_file=/run/secrets/db",
          "secretName: db-credentials\n",
          "secretKeyRef:\n  name: db\n  key: password\n",
          "env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef: {name: db, key: pw}\n",
          "csrf_token=Zx81kd02Lq9vB7aa&x=1",
          R"({"csrfToken":"Zx81kd02Lq9vB7aaYu"})"});
  AddAll(out, "code",
         {"const password = process.env.DB_PASSWORD;",
          "password = os.environ['DB_PASSWORD']",
          "self.password = password",
          "if password == stored: return",
          "password = get_password()",
          "def login(user, password):\n  pass",
          "private String password;",
          "string password = null;",
          "interface User { password: string; token?: string }",
          "type T struct { Password string `json:\"password\"` }",
          "password: Optional[str] = None",
          "SELECT password, secret FROM users WHERE id = $1",
          "CREATE TABLE users (password VARCHAR(255), token TEXT)",
          "token := lexer.Next()",
          "key = hash(token)",
          "apiKey: config.apiKey,",
          "{ user, password } = request.body",
          "password: user.password,",
          ".sk-button-primary-large-rounded { color: red }",
          "import sk-learn",
          "lang=sk-SK",
          "SG.1",
          "npm_config_cache=/tmp",
          "task-queue-desk-risk-assessment-2026-01",
          "std::secret::token",
          "i18n:en:password:label"});
}

void AddNumbers(Samples& out) {
  AddAll(out, "numbers",
         {"order 4111111111111112",
          "order 5555555555554443",
          "invoice 1234567812345678",
          "{\"id\":\"550e8400-e29b-41d4-a716-446655440000\"}",
          "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
          "1735689600000000000",
          "{\"ts\":1767225600000,\"us\":1767225600000000}",
          "2026-01-01T00:00:00.123456789Z",
          "978-3-16-148410-0",
          "ISBN 9783161484100",
          "EAN 4006381333931",
          "EAN 4012345678901",
          "DE89 3704 0044 0532 0130 00",
          "GB29NWBK60161331926819",
          "FR1420041010050500013M02606",
          "+4111111111111111",
          "+49 151 2345 6789",
          "(555) 123-4567",
          "tel:+1-555-123-4567",
          "0800 111 2222 3333",
          "192.168.100.100 10.0.0.1 255.255.255.0",
          "{\"pi\":3.1415926535897932384}",
          "0.4111111111111111",
          "{\"price\":4111111111111111.5}",
          "[4111,1111,1111,1111]",
          "4111 1111 1111",
          "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14",
          "10 20 30 40 50 60 70 80 90",
          "ORD-4111111111111111",
          "41111111111111110000",
          "x4111111111111111",
          "4111111111111111ab",
          "0000000000000000",
          "9999999999999995",
          "1111111111111117",
          "7992739871300000",
          "8000000000000000002",
          "490154203237518",
          "356938035643809",
          "snowflake 1234567890123456789",
          "{\"tweet\":1801234567890123456}",
          "411111******1111",
          "4111-11XX-XXXX-1111",
          "**** **** **** 1111",
          "ending in 1111",
          "2026-11-28 12:13:14 4111",
          "52.520008,13.404954",
          "1.0.0-4111.1111.1111.1111"});
  // Random identifiers of every length that a card may have, none of them in a scheme's range.
  for (unsigned i = 0; i < 20; ++i) {
    out.push_back({"id", absl::StrCat("{\"id\":", 1 + i % 2 * 8,
                                      Drawn("0123456789", 12 + i % 7, 900 + i), "}")});
  }
}

void AddEncoded(Samples& out) {
  std::string image = "\x89PNG\r\n\x1a\n";
  for (unsigned i = 0; i < 400; ++i) image += static_cast<char>(i * 73 + i * i);
  std::string jpeg = "\xff\xd8\xff\xe0";
  for (unsigned i = 0; i < 700; ++i) jpeg += static_cast<char>(i * i * 31 + 7);
  out.push_back({"image in base64", absl::StrCat("data:image/png;base64,", Base64(image))});
  out.push_back({"image in base64url", Base64(jpeg, true, false)});
  out.push_back({"image", image});
  out.push_back({"text in base64",
                 Base64("The quick brown fox jumps over the lazy dog. " + std::string(200, 'x'))});
  out.push_back(
      {"JSON in base64", Base64(R"({"password":"","user":"bob","password_policy":"strict"})")});
  out.push_back({"JSON in base64 twice", Base64(Base64(R"({"password":null,"page":2})"))});
  out.push_back({"percent-encoded",
                 "q=" + PercentEncoded("password policy: at least 12 characters & a digit")});
  out.push_back({"JSON in JSON", R"({"a":"{\"password\":\"\",\"token\":null}"})"});
  for (unsigned i = 0; i < 12; ++i) {
    out.push_back(
        {"SHA-256", absl::StrCat("{\"sha256\":\"", Drawn(kHexAlphabet, 64, 300 + i), "\"}")});
    out.push_back({"git id", absl::StrCat("commit ", Drawn(kHexAlphabet, 40, 400 + i))});
    out.push_back({"ETag", absl::StrCat("ETag: \"", Random(22, 500 + i), "\"")});
  }
  out.push_back({"SRI", "sha384-" + Base64(Drawn(kAlnumAlphabet, 48, 1))});
  out.push_back({"public key", Pem("PUBLIC KEY", 70)});
  out.push_back({"RSA public key", Pem("RSA PUBLIC KEY", 71)});
  out.push_back({"certificate", Pem("CERTIFICATE", 72)});
  out.push_back({"certificate request", Pem("CERTIFICATE REQUEST", 73)});
  out.push_back(
      {"certificate in JSON", absl::StrCat("{\"cert\":\"", Pem("CERTIFICATE", 74, "\\n"), "\"}")});
  out.push_back({"PGP message", Pem("PGP MESSAGE", 75)});
  out.push_back({"PGP signature", Pem("PGP SIGNATURE", 76)});
  out.push_back({"SSH public key", absl::StrCat("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
                                                Random(43, 77), " bob@example.com")});
  out.push_back({"public JWK", absl::StrCat(R"({"kty":"EC","crv":"P-256","x":")", Random(43, 78),
                                            R"(","y":")", Random(43, 79), R"("})")});
  out.push_back({"public RSA JWK", absl::StrCat(R"({"kty":"RSA","e":"AQAB","n":")", Random(342, 80),
                                                R"(","alg":"RS256"})")});
  out.push_back({"JWT without its parts", Base64(R"({"alg":"HS256","typ":"JWT"})", true, false)});
  out.push_back({"dotted words",
                 "eyJust.about.anything com.example.payment.gateway header.payload.signature"});
  out.push_back({"masked token", "ghp_" + std::string(36, 'x')});
  out.push_back({"masked token", "sk_live_" + std::string(24, '*')});
  out.push_back({"masked token", "xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx"});
  out.push_back({"masked token", "AKIA" + std::string(16, 'X')});
  out.push_back({"masked token", "Authorization: Bearer ***"});
  out.push_back({"masked token", "Authorization: Bearer [REDACTED]"});
}

void AddCookies(Samples& out) {
  AddAll(out, "cookies",
         {"Set-Cookie: cookie_consent=accepted; Path=/", "Set-Cookie: theme=dark; Max-Age=31536000",
          "Cookie: lang=en; theme=dark; consent=yes", "Set-Cookie: session=; Max-Age=0; Path=/",
          "Set-Cookie: sessionid=deleted; expires=Thu, 01 Jan 1970 00:00:00 GMT",
          "Cookie: _ga=GA1.2.1234567890.1735689600; _gid=GA1.2.987654321.1735689600",
          "Cookie: csrftoken=Zx81kd02Lq9vB7aaYu81kd02Lq9vB7aa", R"({"cookie":"none"})",
          R"({"cookies":{"accepted":true,"session":"necessary"}})",
          "cookie: chocolate chip; 12 pieces",
          "Cookie policy: session cookies are deleted after 30 days",
          R"({"session_id":"2026-spring-lecture-04"})"});
}

void AddTexts(Samples& out) {
  AddAll(
      out, "texts",
      {"bob@example.com, alice+news@example.org", "Grüße aus Köln: das Passwort steht im Tresor.",
       "{\"title\":\"Secret Garden\",\"author\":\"F. H. Burnett\"}", "The Key: a novel",
       "<html><body><h1>Sign in</h1><a href=\"/password/forgot\">Forgot?</a></body></html>",
       "{\"results\":[{\"id\":1,\"score\":0.98},{\"id\":2,\"score\":0.91}],\"took_ms\":3}",
       "[0.0123456789,-0.9876543210,0.1111111111111111,4.111111111111111]",
       "SGVsbG8gV29ybGQsIHRoaXMgaXMganVzdCB0ZXh0Lg==", "d41d8cd98f00b204e9800998ecf8427e",
       "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
       "v1.2.3-rc.1+build.20260101", "arn:aws:iam::123456789012:role/reader",
       "/api/v1/users/123/password-policy", "https://cdn.example.com/a/b/c.min.js?v=1735689600",
       "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
       "budget:alice:2026-01", "search:shoes:page=2&sort=price",
       "llm:gpt:9f86d081884c7d659a2feaa0c55ad015"});
}

}  // namespace

std::vector<Sample> LookAlikes() {
  Samples out;
  AddProse(out);
  AddFields(out);
  AddNumbers(out);
  AddEncoded(out);
  AddCookies(out);
  AddTexts(out);
  return out;
}

}  // namespace slipstream::cache::secrets
