#include "libs/audit/redact.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace slipstream::audit {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::string_view kValueEnd = " \t\r\n,;&}])\"'";
constexpr std::array<std::string_view, 10> kSecretNames = {
    "password", "passwd",  "secret", "token",       "authorization",
    "cookie",   "api_key", "apikey", "private_key", "credential"};

bool IsNameChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::tolower(c));
  });
  return lower;
}

// "smtp_password", "webhook_secret", "tokens"; not "token_count" or "secretary_id".
bool IsSecretName(std::string_view word) {
  std::string name = Lower(word);
  if (name.ends_with('s')) name.pop_back();
  return std::any_of(kSecretNames.begin(), kSecretNames.end(), [&](std::string_view secret) {
    return name.ends_with(secret) &&
           (name.size() == secret.size() ||
            !std::isalnum(static_cast<unsigned char>(name[name.size() - secret.size() - 1])));
  });
}

// "eyJ" is '{"' in base64: every JWS and JWE starts with it.
bool IsSecretWord(std::string_view word) {
  return (word.starts_with("eyJ") && word.size() > 16) || word.starts_with("whsec_");
}

// One pass over the text, a word at a time.
class Redactor {
 public:
  explicit Redactor(std::string_view text) : text_(text) {}

  std::string Run() {
    while (pos_ < text_.size()) {
      if (Rest().starts_with("-----BEGIN")) {
        out_ += kMask;  // a PEM block: whatever follows it goes too
        break;
      }
      if (Rest().starts_with("://")) {
        TakeUrlUser();
      } else if (IsNameChar(text_[pos_])) {
        TakeWord();
      } else {
        out_ += text_[pos_++];
      }
    }
    return std::move(out_);
  }

 private:
  std::string_view Rest() const { return text_.substr(pos_); }

  // "://user:password@" becomes "://***@".
  void TakeUrlUser() {
    out_ += "://";
    pos_ += 3;
    const std::string_view authority = Rest().substr(0, Rest().find_first_of("/ \t\r\n\"'<>"));
    const size_t at = authority.rfind('@');
    if (at == std::string_view::npos) return;
    out_ += kMask;
    pos_ += at;
  }

  void TakeWord() {
    size_t end = pos_;
    while (end < text_.size() && IsNameChar(text_[end])) ++end;
    const std::string_view word = text_.substr(pos_, end - pos_);
    if (IsSecretWord(word)) {
      while (end < text_.size() && (IsNameChar(text_[end]) || text_[end] == '.')) ++end;
      out_ += kMask;
      pos_ = end;
      return;
    }
    out_ += word;
    pos_ = end;
    const std::string lower = Lower(word);
    if (lower == "bearer" || lower == "basic") {
      if (pos_ < text_.size() && IsSpace(text_[pos_])) MaskValue();
    } else if (IsSecretName(word)) {
      MaskAssignedValue();
    }
  }

  // After a secret's name: =, : or => with quotes and spaces around it, then the value.
  void MaskAssignedValue() {
    size_t at = pos_;
    bool assigned = false;
    while (at < text_.size() && (IsSpace(text_[at]) || text_[at] == '"' || text_[at] == '\'' ||
                                 text_[at] == '=' || text_[at] == ':' || text_[at] == '>')) {
      assigned = assigned || text_[at] == '=' || text_[at] == ':';
      // The quote after the sign opens the value; leave it to MaskValue.
      if (assigned && (text_[at] == '"' || text_[at] == '\'')) break;
      ++at;
    }
    if (!assigned) return;
    out_ += text_.substr(pos_, at - pos_);
    pos_ = at;
    MaskValue();
  }

  void MaskValue() {
    while (pos_ < text_.size() && IsSpace(text_[pos_])) out_ += text_[pos_++];
    if (pos_ >= text_.size()) return;
    const char quote = text_[pos_];
    if (quote == '"' || quote == '\'') {
      const size_t close = text_.find(quote, pos_ + 1);
      out_ += quote;
      out_ += kMask;
      if (close != std::string_view::npos) out_ += quote;
      pos_ = close == std::string_view::npos ? text_.size() : close + 1;
      return;
    }
    const size_t end = std::min(text_.find_first_of(kValueEnd, pos_), text_.size());
    const std::string scheme = Lower(text_.substr(pos_, end - pos_));
    pos_ = end;
    // "authorization: Bearer abc": the value has two words.
    if ((scheme == "bearer" || scheme == "basic") && pos_ < text_.size() && text_[pos_] == ' ') {
      pos_ = std::min(text_.find_first_not_of(' ', pos_), text_.size());
      pos_ = std::min(text_.find_first_of(kValueEnd, pos_), text_.size());
    }
    out_ += kMask;
  }

  const std::string_view text_;
  size_t pos_ = 0;
  std::string out_;
};

}  // namespace

std::string RedactSecrets(std::string_view text) { return Redactor(text).Run(); }

}  // namespace slipstream::audit
