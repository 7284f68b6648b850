// The value that belongs to a field's name: behind `:`, `=`, `=>` or `>`, in quotes or bare, or in
// the member "value" beside it.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_FIELD_VALUE_H_
#define SERVICES_CACHE_SECRETS_FIELD_VALUE_H_

#include <cstddef>
#include <string_view>

namespace slipstream::cache::secrets {

struct FieldValue {
  // How much stands around a value, from which follows how much it has to look like a secret.
  enum Form {
    kNone,      // there is no value
    kQuoted,    // in quotes, or an element's text
    kAssigned,  // password=hunter2
    kLine,      // password: hunter2, or with blanks around the `=`
    kJoined,    // password:hunter2, as parts of a key are joined
    kWord,      // --password hunter2
  };
  Form form = kNone;
  std::string_view text;
  bool more_words = false;  // the line goes on behind a bare value
  bool beside = false;      // of the member "value" beside it
  bool inner_part = false;  // of kJoined: the name itself is joined to something before it
};

// The value of the name at [begin, end).
FieldValue ValueAfter(std::string_view text, size_t begin, size_t end);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_FIELD_VALUE_H_
