#include "common/xml/tape_builder.h"

#include <algorithm>

#include "common/xml/byte_scan.h"

namespace sluice {

namespace {

constexpr std::size_t kNamesBegin = 256;

// Stands for "xmlns" in place of a prefix.
constexpr char kXmlns[] = "xmlns";

std::size_t hash_of(const void* local, const void* prefix) {
  const auto mixed = (reinterpret_cast<std::uintptr_t>(local) >> 1) * 0x9E3779B97F4A7C15ULL +
                     reinterpret_cast<std::uintptr_t>(prefix);
  return mixed ^ (mixed >> 29);
}

}  // namespace

void TapeBuilder::forget_names() {
  if (names_.size() > 16 * kNamesBegin) {
    names_.clear();
  }
  if (names_.empty()) {
    names_.resize(kNamesBegin);
  }
  name_count_ = 0;
  ++generation_;
}

void TapeBuilder::begin_event(EventTape& tape, std::string_view text, EventTape::Span base) {
  tape_ = &tape;
  source_ = text;
  base_ = base;
  has_text_.clear();
  pending_ = {};
  joined_.clear();
}

std::uint32_t TapeBuilder::name_id(const void* local, const void* prefix, std::string_view first,
                                   std::string_view second) {
  const std::size_t mask = names_.size() - 1;
  std::size_t at = hash_of(local, prefix) & mask;
  for (; names_[at].generation == generation_; at = (at + 1) & mask) {
    if (names_[at].local == local && names_[at].prefix == prefix) {
      return names_[at].id;
    }
  }
  std::string whole(first);
  if (!first.empty() && !second.empty()) {
    whole += ':';
  }
  whole += second;
  const std::uint32_t id = tape_->add_name(whole);
  names_[at] = {local, prefix, id, generation_};
  if (++name_count_ * 2 > names_.size()) {
    grow();
  }
  return id;
}

void TapeBuilder::grow() {
  std::vector<Name> old(names_.size() * 2);
  old.swap(names_);
  const std::size_t mask = names_.size() - 1;
  for (const Name& name : old) {
    if (name.generation == generation_) {
      std::size_t at = hash_of(name.local, name.prefix) & mask;
      while (names_[at].generation == generation_) {
        at = (at + 1) & mask;
      }
      names_[at] = name;
    }
  }
}

EventTape::Span TapeBuilder::span_of(std::string_view part) {
  const auto begin = reinterpret_cast<std::uintptr_t>(source_.data());
  const auto at = reinterpret_cast<std::uintptr_t>(part.data());
  if (at >= begin && at - begin <= source_.size() && part.size() <= source_.size() - (at - begin)) {
    return {base_.begin + static_cast<std::uint32_t>(at - begin),
            static_cast<std::uint32_t>(part.size()), base_.in_arena};
  }
  return tape_->store(part);
}

void TapeBuilder::text(std::string_view part) {
  const bool in_source =
      part.data() >= source_.data() && part.data() + part.size() <= source_.data() + source_.size();
  if (joined_.empty() && in_source) {
    if (pending_.empty()) {
      pending_ = part;
      return;
    }
    if (pending_.data() + pending_.size() == part.data()) {
      pending_ = {pending_.data(), pending_.size() + part.size()};
      return;
    }
  }
  if (joined_.empty()) {
    joined_ = pending_;
    pending_ = {};
  }
  joined_ += part;
}

// White space at the front of an element's text is stripped in the end: only behind something else
// does it count.
void TapeBuilder::end_text() {
  const std::string_view whole = joined_.empty() ? pending_ : std::string_view(joined_);
  if (!whole.empty() && !has_text_.empty() &&
      (has_text_.back() || !std::all_of(whole.begin(), whole.end(), byte_scan::is_space))) {
    has_text_.back() = true;
    tape_->text(span_of(whole));
  }
  pending_ = {};
  joined_.clear();
}

void TapeBuilder::open(const char* local, const char* prefix) {
  end_text();
  has_text_.push_back(false);
  tape_->open(name_id(local, prefix, prefix == nullptr ? "" : prefix, local));
}

void TapeBuilder::attribute(const char* local, const char* prefix, std::string_view value) {
  const std::uint32_t name = name_id(local, prefix, prefix == nullptr ? "" : prefix, local);
  tape_->attribute(name, span_of(value));
}

void TapeBuilder::namespace_declaration(const char* prefix, std::string_view uri) {
  const std::uint32_t name = name_id(prefix, kXmlns, kXmlns, prefix == nullptr ? "" : prefix);
  tape_->attribute(name, span_of(uri));
}

void TapeBuilder::close() {
  end_text();
  has_text_.pop_back();
  tape_->close();
}

}  // namespace sluice
