// The secrets of the corpus.
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/cache/secrets/corpus.h"

namespace slipstream::cache::secrets {

namespace {

class Builder {
 public:
  void Add(Kind kind, std::string name, std::string text) {
    out_.push_back({{std::move(name), std::move(text)}, kind});
  }
  // The secret as it is, and in what wraps secrets in practice.
  void AddWrapped(Kind kind, const std::string& name, const std::string& text) {
    Add(kind, name, text);
    Add(kind, name + " in base64", absl::StrCat("{\"blob\":\"", Base64(text), "\"}"));
    Add(kind, name + " in base64url without padding", Base64(text, true, false));
    Add(kind, name + " in base64 twice", absl::StrCat("data: ", Base64(Base64(text))));
    Add(kind, name + " percent-encoded", absl::StrCat("q=", PercentEncoded(text)));
    Add(kind, name + " in JSON in JSON",
        absl::StrCat("{\"body\":\"",
                     JsonEscaped(absl::StrCat("{\"a\":[{\"b\":\"", JsonEscaped(text), "\"}]}")),
                     "\"}"));
  }
  std::vector<SecretSample> Take() { return std::move(out_); }

 private:
  std::vector<SecretSample> out_;
};

std::string Random(size_t size, unsigned seed) { return Drawn(kAlnumAlphabet, size, seed); }

void AddTokens(Builder& b) {
  b.AddWrapped(Kind::kBearerToken, "JWT", Jwt("alice"));
  b.Add(Kind::kBearerToken, "JWT in JSON",
        absl::StrCat(R"({"user":{"id":7,"t":")", Jwt("bob", "RS256"), R"("}})"));
  b.Add(Kind::kBearerToken, "JWT in a query",
        absl::StrCat("https://app.example/cb?jwt=", Jwt("eve", "ES256"), "&x=1"));
  b.Add(Kind::kBearerToken, "unsigned JWT",
        absl::StrCat(Base64(R"({"alg":"none"})", true, false), ".",
                     Base64(R"({"sub":"root","admin":true})", true, false), "."));
  b.Add(Kind::kBearerToken, "encrypted JWT",
        absl::StrCat(Base64(R"({"alg":"dir","enc":"A256GCM"})", true, false), "..", Random(16, 1),
                     ".", Random(40, 2), ".", Random(22, 3)));
  unsigned seed = 100;
  const auto token = [&](std::string prefix, size_t size) {
    ++seed;
    b.Add(Kind::kApiToken, prefix, absl::StrCat("the value is ", prefix, Random(size, seed), "\n"));
  };
  for (const char* prefix : {"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_", "hf_", "gsk_"})
    token(prefix, 40);
  for (const char* prefix :
       {"glpat-", "glrt-", "gldt-", "xapp-", "ya29.", "hvs.", "dckr_pat_", "tskey-"}) {
    token(prefix, 30);
  }
  for (const char* prefix : {"sk_live_", "sk_test_", "rk_live_", "whsec_"}) token(prefix, 24);
  token("sk-", 48);
  token("sk-proj-", 60);
  token("sk-ant-api03-", 80);
  token("pypi-AgEIcHlwaS5vcmc", 80);
  token("secret_", 43);
  b.Add(Kind::kApiToken, "fine-grained GitHub token",
        absl::StrCat("github_", "pat_", Random(22, 40), "_", Random(59, 41)));
  for (const char* prefix : {"xoxb", "xoxp", "xoxa", "xoxr", "xoxs"}) {
    b.Add(Kind::kApiToken, prefix,
          absl::StrCat(prefix, "-123456789012-1234567890123-", Random(24, ++seed)));
  }
  b.Add(Kind::kApiToken, "AWS key and secret",
        absl::StrCat("aws_access_key_id = AKIA", Drawn("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, 5),
                     "\naws_secret_access_key = ", Random(40, 6)));
  b.Add(Kind::kApiToken, "Google API key", absl::StrCat("AIza", Random(35, 8)));
  b.Add(Kind::kApiToken, "SendGrid", absl::StrCat("SG.", Random(22, 9), ".", Random(43, 10)));
  b.Add(Kind::kApiToken, "Slack webhook",
        absl::StrCat("https://hooks.slack.com/services/T0", Random(8, 11), "/B0", Random(8, 12),
                     "/", Random(24, 13)));
  b.Add(Kind::kApiToken, "Telegram bot", absl::StrCat("bot123456789:AA", Random(33, 14)));
  b.Add(Kind::kApiToken, "DigitalOcean", absl::StrCat("dop_v1_", Drawn(kHexAlphabet, 64, 15)));
  b.AddWrapped(Kind::kApiToken, "GitHub token", absl::StrCat("ghp_", Random(36, 16)));
  b.AddWrapped(Kind::kApiToken, "Stripe key", absl::StrCat("sk_live_", Random(24, 17)));
}

void AddFields(Builder& b) {
  const std::string value = "hunter2!" + Random(6, 20);
  b.AddWrapped(Kind::kPassword, "password in JSON",
               absl::StrCat(R"({"user":"bob","password":")", value, R"("})"));
  b.AddWrapped(Kind::kPassword, "form", absl::StrCat("user=bob&password=", value, "&remember=1"));
  for (const char* name :
       {"password", "Password", "PASSWORD", "passwd", "pwd", "secret", "client_secret",
        "clientSecret", "db_password", "dbPassword", "new_password", "passphrase", "jwt_secret",
        "webhook-secret", "user.password", "smtp_pass", "SECRET", "password2",
        "password_confirmation"}) {
    b.Add(Kind::kPassword, absl::StrCat("JSON ", name),
          absl::StrCat(R"({"a":[1,{"b":{")", name, R"(" : ")", value, R"("}}]})"));
  }
  for (const char* name :
       {"api_key", "apiKey", "API-KEY", "x-api-key", "access_token", "accessToken", "refresh_token",
        "id_token", "auth_token", "private_key", "secret_key", "aws_secret_access_key",
        "AccountKey", "bearer_token", "session_token"}) {
    b.Add(Kind::kApiToken, absl::StrCat("JSON ", name),
          absl::StrCat(R"({"settings":{")", name, R"(":")", Random(24, 21), R"("}})"));
    b.Add(Kind::kApiToken, absl::StrCat("ini ", name),
          absl::StrCat("[main]\n", name, " = ", Random(20, 22), "\n"));
  }
  b.Add(Kind::kPassword, "YAML", "db:\n  user: app\n  password: correcthorse\n  port: 5432\n");
  b.Add(Kind::kPassword, "YAML in quotes", "password: 'pa55 word'\n");
  b.Add(Kind::kPassword, "YAML, block of an environment",
        "env:\n  - name: DB_PASSWORD\n    value: s3cr3tpw\n");
  b.Add(Kind::kPassword, "ini", "[db]\npassword=letmein\n");
  b.Add(Kind::kPassword, "environment file", "export POSTGRES_PASSWORD=letmein\nPORT=1\n");
  b.Add(Kind::kPassword, "connection string",
        "Server=db;Database=x;User Id=sa;Password=Pa55w0rd;Encrypt=true");
  b.Add(Kind::kPassword, "libpq", "host=db user=app password=letmein dbname=x");
  b.Add(Kind::kPassword, "XML", "<login><user>bob</user><password>letmein</password></login>");
  b.Add(Kind::kPassword, "XML attributes", R"(<add key="DbPassword" value="letmein"/>)");
  b.Add(Kind::kPassword, "name and value", R"([{"name":"password","value":"letmein"}])");
  b.Add(Kind::kPassword, "multipart",
        "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nletmein\r\n--x--");
  b.Add(Kind::kPassword, "command line", "mysqldump --user=root --password=letmein shop");
  b.Add(Kind::kPassword, "command line with a space", "login --password s3cr3tpw --yes");
  b.Add(Kind::kPassword, "Python", "conn = connect(user='a', password='letmein')");
  b.Add(Kind::kPassword, "PHP", "$c = ['password' => 'letmein'];");
  b.Add(Kind::kPassword, "Go", "password := \"letmein\"");
  b.Add(Kind::kPassword, "passphrase of words", R"({"password":"correct horse battery staple"})");
  b.Add(Kind::kPassword, "number", R"({"password": 12345678})");
  b.Add(Kind::kPassword, "unicode escapes", R"({"\u0070assword":"letm\u0065in"})");
  b.Add(Kind::kPassword, "HTML entities", "{&quot;password&quot;:&quot;letmein&quot;}");
  b.Add(Kind::kPassword, "log line",
        "2026-01-01 login failed user=bob password=letmein ip=10.0.0.1");
  b.Add(Kind::kPassword, "mail", "Hello Bob,\nyour new password: Xk29fQ1z\nplease change it");
  for (const char* url :
       {"postgres://app:letmein@db:5432/x", "redis://:letmein@cache:6379/0",
        "https://bob:s3cr3t@example.com/", "mongodb+srv://u:p4ss@cluster0.example.net/db",
        "amqp://guest:guest@mq:5672", "jdbc:mysql://db/x?user=a&password=letmein"}) {
    b.Add(Kind::kPassword, "URL", absl::StrCat("the store is at ", url, " now"));
  }
  b.AddWrapped(Kind::kPassword, "URL with a password", "mysql://root:letmein@10.0.0.5/shop");
}

void AddHeaders(Builder& b) {
  b.AddWrapped(Kind::kBearerToken, "Bearer header",
               absl::StrCat("Authorization: Bearer ", Random(32, 30)));
  b.Add(Kind::kBearerToken, "Basic header",
        absl::StrCat("GET / HTTP/1.1\r\nauthorization: Basic ", Base64("bob:letmein"), "\r\n"));
  b.Add(Kind::kBearerToken, "token header", absl::StrCat("Authorization: token ", Random(40, 31)));
  b.Add(Kind::kBearerToken, "bare header", absl::StrCat("Authorization: ", Random(40, 32)));
  b.Add(Kind::kBearerToken, "proxy header",
        absl::StrCat("Proxy-Authorization: Basic ", Base64("a:b1c2d3")));
  b.Add(Kind::kBearerToken, "header in JSON",
        absl::StrCat(R"({"headers":{"Authorization":"Bearer )", Random(20, 33), R"("}})"));
  b.Add(Kind::kBearerToken, "header in a list",
        absl::StrCat(R"({"authorization":["Bearer )", Random(20, 34), R"("]})"));
  b.Add(Kind::kBearerToken, "header pairs",
        absl::StrCat(R"([["Authorization","Bearer )", Random(20, 35), R"("]])"));
  b.Add(Kind::kBearerToken, "curl",
        absl::StrCat("curl -H 'Authorization: Bearer ", Random(20, 36), "' https://x"));
  b.Add(Kind::kBearerToken, "bearer in a sentence",
        absl::StrCat("send bearer ", Random(32, 37), " along"));
  b.Add(Kind::kBearerToken, "AWS signature",
        absl::StrCat("Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/eu/s3/aws4_request, "
                     "SignedHeaders=host, Signature=",
                     Drawn(kHexAlphabet, 64, 38)));
  b.Add(Kind::kApiToken, "X-Api-Key", absl::StrCat("X-Api-Key: ", Random(24, 39)));
  b.Add(Kind::kApiToken, "X-Auth-Token", absl::StrCat("X-Auth-Token: ", Random(24, 42)));
  const std::string id = Random(32, 43);
  b.AddWrapped(Kind::kSessionCookie, "Cookie header",
               absl::StrCat("Cookie: lang=en; sessionid=", id));
  for (const char* name :
       {"PHPSESSID", "JSESSIONID", "connect.sid", "session", "_shop_session", "laravel_session",
        "ASP.NET_SessionId", "__Host-session", "__Secure-sid", "auth_token", "remember_me",
        "wordpress_logged_in_1a2b", "SAPISID", "sid", "jwt"}) {
    b.Add(Kind::kSessionCookie, absl::StrCat("Set-Cookie ", name),
          absl::StrCat("HTTP/1.1 200 OK\r\nSet-Cookie: ", name, "=", id,
                       "; Path=/; HttpOnly; Secure\r\n"));
    b.Add(Kind::kSessionCookie, absl::StrCat("cookie in JSON ", name),
          absl::StrCat(R"({"headers":{"cookie":"theme=dark; )", name, "=", id, R"(; a=b"}})"));
  }
  b.Add(Kind::kSessionCookie, "second Set-Cookie",
        absl::StrCat(R"({"set-cookie":["theme=dark; Path=/","sid=)", id, R"(; HttpOnly"]})"));
  b.Add(Kind::kSessionCookie, "session in a URL",
        absl::StrCat("https://x/a;jsessionid=", Drawn(kHexAlphabet, 32, 44)));
}

void AddKeys(Builder& b) {
  for (const char* kind : {"", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "}) {
    const std::string label = absl::StrCat(kind, "PRIVATE KEY");
    b.Add(Kind::kPrivateKey, label, Pem(label, 50));
    b.Add(Kind::kPrivateKey, absl::StrCat(label, " in JSON"),
          absl::StrCat(R"({"k":")", Pem(label, 51, "\\n"), R"("})"));
  }
  b.AddWrapped(Kind::kPrivateKey, "PEM", Pem("PRIVATE KEY", 52));
  b.Add(Kind::kPrivateKey, "PGP", Pem("PGP PRIVATE KEY BLOCK", 53, "\r\n"));
  b.Add(Kind::kPrivateKey, "PuTTY",
        absl::StrCat("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\n",
                     Random(60, 54), "\nPrivate-Lines: 1\n", Random(44, 55), "\n"));
  b.Add(Kind::kPrivateKey, "JWK EC",
        absl::StrCat(R"({"kty":"EC","crv":"P-256","x":")", Random(43, 56), R"(","y":")",
                     Random(43, 57), R"(","d":")", Random(43, 58), R"("})"));
  b.Add(Kind::kPrivateKey, "JWK, d first",
        absl::StrCat(R"({"keys":[{"d":")", Random(43, 59), R"(","kty":"OKP","x":")", Random(43, 60),
                     R"("}]})"));
  b.Add(Kind::kPrivateKey, "JWK symmetric",
        absl::StrCat(R"({"kty":"oct","k":")", Random(43, 61), R"("})"));
}

void AddCards(Builder& b) {
  // The schemes' published test numbers, in pieces.
  const std::vector<std::pair<const char*, std::string>> numbers = {
      {"Visa", absl::StrCat("4111", "1111", "1111", "1111")},
      {"Visa 2", absl::StrCat("4012", "8888", "8888", "1881")},
      {"Visa 13", absl::StrCat("4222", "2222", "22222")},
      {"Mastercard", absl::StrCat("5555", "5555", "5555", "4444")},
      {"Mastercard 2", absl::StrCat("5105", "1051", "0510", "5100")},
      {"Mastercard series 2", absl::StrCat("2223", "0031", "2200", "3222")},
      {"Amex", absl::StrCat("3782", "822463", "10005")},
      {"Amex 2", absl::StrCat("3714", "496353", "98431")},
      {"Discover", absl::StrCat("6011", "1111", "1111", "1117")},
      {"Diners", absl::StrCat("3056", "930902", "5904")},
      {"Diners 2", absl::StrCat("3852", "000002", "3237")},
      {"JCB", absl::StrCat("3530", "1113", "3330", "0000")},
      {"UnionPay", absl::StrCat("6200", "0000", "0000", "0005")},
      {"Maestro", absl::StrCat("6759", "6498", "2643", "8453")},
  };
  for (const auto& [name, digits] : numbers) {
    b.Add(Kind::kCardNumber, name, absl::StrCat(R"({"card":")", digits, R"("})"));
    b.Add(Kind::kCardNumber, absl::StrCat(name, " as a number"),
          absl::StrCat(R"({"pan": )", digits, "}"));
    b.Add(Kind::kCardNumber, absl::StrCat(name, " in base64"),
          Base64(absl::StrCat("pan=", digits, ";exp=12/30")));
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::string& d = numbers[i].second;
    if (d.size() != 16) continue;
    const auto grouped = [&](const char* s) {
      return absl::StrCat(d.substr(0, 4), s, d.substr(4, 4), s, d.substr(8, 4), s, d.substr(12));
    };
    b.Add(Kind::kCardNumber, absl::StrCat(numbers[i].first, " in groups"),
          absl::StrCat("card ", grouped(" "), " ok"));
    b.Add(Kind::kCardNumber, absl::StrCat(numbers[i].first, " with dashes"),
          absl::StrCat("card=", grouped("-")));
  }
  b.Add(Kind::kCardNumber, "Amex in groups", absl::StrCat("3782", " 822463 ", "10005"));
  b.AddWrapped(Kind::kCardNumber, "card", absl::StrCat("card: 4111", " 1111 1111 ", "1111"));
}

}  // namespace

std::vector<SecretSample> Secrets() {
  Builder builder;
  AddTokens(builder);
  AddFields(builder);
  AddHeaders(builder);
  AddKeys(builder);
  AddCards(builder);
  return builder.Take();
}

}  // namespace slipstream::cache::secrets
