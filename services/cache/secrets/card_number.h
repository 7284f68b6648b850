// Card numbers in text: 13-19 digits, in one piece or in a card's groups, with Luhn's check digit
// (ISO/IEC 7812-1, annex B) and a range that a card scheme issues. A number that is a part of a
// longer one or of an identifier (UUID, order number, decimal fraction, IBAN, phone number) is
// none.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_CARD_NUMBER_H_
#define SERVICES_CACHE_SECRETS_CARD_NUMBER_H_

#include <optional>
#include <string_view>

#include "services/cache/secrets/finding.h"

namespace slipstream::cache::secrets {

// The first one. Linear in the text, and looks at about every eleventh byte of it.
std::optional<Finding> FindCardNumber(std::string_view text);

// Whether digits alone are a card number. REQUIRES: digits only.
bool IsCardNumber(std::string_view digits);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_CARD_NUMBER_H_
