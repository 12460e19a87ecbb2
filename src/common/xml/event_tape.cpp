#include "common/xml/event_tape.h"

#include <cstring>

#include "common/base/check.h"

namespace sluice {

namespace {

std::uint32_t pack(EventTape::TokenKind kind, EventTape::Span span) {
  return (static_cast<std::uint32_t>(kind) << 29) | (span.in_arena ? 1U << 28 : 0U) | span.length;
}

}  // namespace

void EventTape::push(Token token) {
  if ((token_count_ >> kPageShift) == token_pages_.size()) {
    token_pages_.push_back(std::make_unique_for_overwrite<Token[]>(kPageTokens));
    memory_bytes_ += kPageTokens * sizeof(Token);
  }
  token_pages_[token_count_ >> kPageShift][token_count_ & kPageMask] = token;
  ++token_count_;
}

void EventTape::open(std::uint32_t name) { push({name, pack(TokenKind::open, {})}); }

void EventTape::attribute(std::uint32_t name, Span value) {
  push({name, pack(TokenKind::attribute, {})});
  text(value);
}

void EventTape::text(Span span) {
  CHECK_THAT(span.length <= kLengthMax);
  push({span.begin, pack(TokenKind::text, span)});
}

void EventTape::close() {
  Token& last = token_pages_[(token_count_ - 1) >> kPageShift][(token_count_ - 1) & kPageMask];
  if (last.kind() == TokenKind::open) {
    last.packed = pack(TokenKind::empty, {});
    return;
  }
  push({0, pack(TokenKind::close, {})});
}

void EventTape::end_event(Span root) {
  CHECK_THAT(root.length <= kLengthMax);
  const std::size_t page = event_count_ >> kEventPageShift;
  if (page == event_pages_.size()) {
    event_pages_.push_back(std::make_unique_for_overwrite<PackedEvent[]>(kEventPageMask + 1));
    memory_bytes_ += (kEventPageMask + 1) * sizeof(PackedEvent);
  }
  event_pages_[page][event_count_ & kEventPageMask] = {root.begin, pack(TokenKind::text, root),
                                                       static_cast<std::uint32_t>(token_count_)};
  ++event_count_;
  event_tokens_begin_ = token_count_;
}

void EventTape::drop_event() { token_count_ = event_tokens_begin_; }

std::uint32_t EventTape::add_name(std::string_view name) {
  const Span span = store(name);
  const std::size_t page = name_count_ >> kEventPageShift;
  if (page == name_pages_.size()) {
    name_pages_.push_back(std::make_unique_for_overwrite<Token[]>(kEventPageMask + 1));
    memory_bytes_ += (kEventPageMask + 1) * sizeof(Token);
  }
  name_pages_[page][name_count_ & kEventPageMask] = {span.begin, pack(TokenKind::text, span)};
  return static_cast<std::uint32_t>(name_count_++);
}

EventTape::Span EventTape::store(std::string_view bytes) {
  CHECK_THAT(bytes.size() <= kLengthMax);  // before the cast may cut it
  char* into = nullptr;
  const Span span = reserve(static_cast<std::uint32_t>(bytes.size()), &into);
  if (into != nullptr) {
    std::memcpy(into, bytes.data(), bytes.size());
  }
  return span;
}

// Returns the first slot of a new chunk.
std::uint32_t EventTape::add_chunk(std::uint32_t bytes) {
  const auto slot = static_cast<std::uint32_t>(arena_slots_.size());
  arena_chunks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
  memory_bytes_ += bytes;
  for (std::size_t at = 0; at < bytes; at += kArenaChunkBytes) {
    arena_slots_.push_back(arena_chunks_.back().get() + at);
  }
  // A slot's index is the upper half of a span's begin.
  CHECK_THAT(arena_slots_.size() <= (std::size_t{1} << (32 - kArenaShift)));
  return slot;
}

EventTape::Span EventTape::reserve(std::uint32_t length, char** into) {
  CHECK_THAT(length <= kLengthMax);
  if (length == 0) {
    *into = nullptr;
    return {0, 0, true};
  }
  if (length > kArenaOwnChunkBytes) {
    const std::uint32_t slot = add_chunk(length);
    *into = arena_slots_[slot];
    return {slot << kArenaShift, length, true};
  }
  if (length > kArenaChunkBytes - open_used_) {
    open_slot_ = add_chunk(kArenaChunkBytes);
    open_used_ = 0;
  }
  *into = arena_slots_[open_slot_] + open_used_;
  const Span span{(open_slot_ << kArenaShift) + open_used_, length, true};
  open_used_ += length;
  return span;
}

EventTape::Event EventTape::event(std::size_t index) const {
  CHECK_THAT(index < event_count_);
  const auto& packed = event_pages_[index >> kEventPageShift][index & kEventPageMask];
  const std::uint32_t first =
      index == 0
          ? 0
          : event_pages_[(index - 1) >> kEventPageShift][(index - 1) & kEventPageMask].end_token;
  return {Token{packed.root_begin, packed.root_packed}.span(), first, packed.end_token};
}

std::string_view EventTape::name(std::uint32_t id) const {
  return text(name_pages_[id >> kEventPageShift][id & kEventPageMask].span(), {});
}

std::string_view EventTape::text(Span span, std::string_view source) const {
  if (span.length == 0) {
    return {};
  }
  if (!span.in_arena) {
    CHECK_THAT(span.begin <= source.size() && span.length <= source.size() - span.begin);
    return source.substr(span.begin, span.length);
  }
  const char* slot = arena_slots_[span.begin >> kArenaShift];
  return {slot + (span.begin & (kArenaChunkBytes - 1)), span.length};
}

}  // namespace sluice
