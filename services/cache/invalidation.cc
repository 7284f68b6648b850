#include "services/cache/invalidation.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace slipstream::cache {

namespace {

// Each part after its length, four bytes.
void PutPart(std::string& out, std::string_view part) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(part.size() >> shift);
  out += part;
}

bool TakePart(std::string_view& bytes, std::string_view* part) {
  if (bytes.size() < 4) return false;
  size_t size = 0;
  for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[i]);
  bytes.remove_prefix(4);
  if (size > bytes.size()) return false;
  *part = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

absl::Status Damaged() { return absl::InvalidArgumentError("not an invalidation"); }

}  // namespace

Invalidation Invalidation::OfKey(std::string_view id, std::string_view user_key) {
  Invalidation out;
  out.kind = kKey;
  out.id = id;
  out.user_key = user_key;
  return out;
}

Invalidation Invalidation::OfTags(Kind kind, absl::Span<const ScopedTag> tags) {
  Invalidation out;
  out.kind = kind;
  for (const auto& tag : tags) out.tags.push_back(tag.id());
  return out;
}

Invalidation Invalidation::OfGlob(EntryFilter filter) {
  Invalidation out;
  out.kind = kGlob;
  out.filter = std::make_shared<const EntryFilter>(std::move(filter));
  return out;
}

std::string Invalidation::Encode() const {
  std::string out(1, kind);
  switch (kind) {
    case kKey:
      PutPart(out, id);
      PutPart(out, user_key);
      break;
    case kTag:
    case kNamespace:
      for (const auto& tag : tags) PutPart(out, tag);
      break;
    case kGlob:
      PutPart(out, filter->glob());
      if (filter->all_scopes()) break;
      for (const auto& scope : filter->scopes()) PutPart(out, scope);
      break;
    case kEvicted:  // as the script that evicts writes it
      out += id;
      break;
    case kRetired:
      absl::StrAppend(&out, retired);
      break;
  }
  return out;
}

absl::StatusOr<Invalidation> Invalidation::Decode(std::string_view bytes) {
  if (bytes.empty()) return Damaged();
  Invalidation out;
  out.kind = static_cast<Kind>(bytes[0]);
  bytes.remove_prefix(1);
  std::string_view part;
  switch (out.kind) {
    case kKey:
      if (!TakePart(bytes, &part) || !IsKeyId(part)) return Damaged();
      out.id = part;
      if (!TakePart(bytes, &part)) return Damaged();
      out.user_key = part;
      return out;
    case kTag:
    case kNamespace:
      while (!bytes.empty()) {
        if (!TakePart(bytes, &part) || !ParseTagId(part)) return Damaged();
        out.tags.emplace_back(part);
      }
      return out;
    case kGlob: {
      std::string_view glob;
      if (!TakePart(bytes, &glob)) return Damaged();
      std::vector<std::string> scopes;
      const bool all = bytes.empty();
      while (!bytes.empty()) {
        if (!TakePart(bytes, &part)) return Damaged();
        scopes.emplace_back(part);
      }
      auto filter = EntryFilter::Restore(glob, all, std::move(scopes));
      if (!filter.ok()) return filter.status();
      out.filter = std::make_shared<const EntryFilter>(*std::move(filter));
      return out;
    }
    case kEvicted:
      if (!IsKeyId(bytes)) return Damaged();
      out.id = bytes;
      return out;
    case kRetired:
      if (!absl::SimpleAtoi(absl::string_view(bytes.data(), bytes.size()), &out.retired)) {
        return Damaged();
      }
      return out;
  }
  return Damaged();
}

}  // namespace slipstream::cache
