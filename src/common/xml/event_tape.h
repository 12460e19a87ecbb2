// EventTape: what Validate leaves of a block for Convert, so that nothing is parsed twice. For
// each accepted event, in order: where the bytes of its root element lie and, when JSON is to be
// made, a list of tokens of 8 bytes. Texts are spans of the block's source buffer where the parser
// pointed into it, and otherwise of the tape's own arena (entities, CDATA joints, transcoded
// events). Names are interned, so that two equal names within an event have one id.
// Built by one thread, then read by another; never both.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace sluice {

class EventTape {
 public:
  // Bytes of the source buffer or of the arena.
  struct Span {
    std::uint32_t begin = 0;
    std::uint32_t length = 0;  // at most kLengthMax
    bool in_arena = false;
  };
  static constexpr std::uint32_t kLengthMax = (1U << 28) - 1;

  enum class TokenKind : std::uint8_t {
    open,       // an element begins; value is its name's id
    empty,      // an element without attributes, text and children
    attribute,  // value is the name's id; the next token is its text
    text,       // of the innermost open element, or the attribute's value; value is a span's begin
    close,      // the innermost open element ends
  };
  struct Token {
    std::uint32_t value = 0;
    std::uint32_t packed = 0;  // kind: 3 bits, in_arena: 1 bit, length: 28 bits

    [[nodiscard]] TokenKind kind() const { return static_cast<TokenKind>(packed >> 29); }
    [[nodiscard]] Span span() const {
      return {value, packed & kLengthMax, (packed & (1U << 28)) != 0};
    }
  };
  static_assert(sizeof(Token) == 8);

  struct Event {
    Span root;                      // the root element: what `xml` output consists of
    std::uint32_t first_token = 0;  // empty range where no tokens were asked for
    std::uint32_t end_token = 0;
  };

  EventTape() = default;
  EventTape(EventTape&&) noexcept = default;
  EventTape& operator=(EventTape&&) noexcept = default;
  EventTape(const EventTape&) = delete;
  EventTape& operator=(const EventTape&) = delete;
  ~EventTape() = default;

  // -- building -----------------------------------------------------------------------------------
  // What was added since the last end_event or drop_event belongs to the event being built.
  void open(std::uint32_t name);
  void attribute(std::uint32_t name, Span value);
  void text(Span span);
  // Closes the innermost element; one without content becomes a single `empty` token.
  void close();
  void end_event(Span root);
  // Forgets the tokens of the event being built; names and arena bytes stay until the tape dies.
  void drop_event();

  // An id for `name`, which is copied. The caller keeps ids by name.
  std::uint32_t add_name(std::string_view name);
  // Copies `bytes`; the span is contiguous.
  Span store(std::string_view bytes);
  // Room of `length` bytes for the caller to fill, and its span. Spans of parts of it are made by
  // adding to begin.
  Span reserve(std::uint32_t length, char** into);

  // -- reading ------------------------------------------------------------------------------------
  [[nodiscard]] std::size_t size() const { return event_count_; }
  [[nodiscard]] bool empty() const { return event_count_ == 0; }
  [[nodiscard]] Event event(std::size_t index) const;
  [[nodiscard]] Token token(std::size_t index) const {
    return token_pages_[index >> kPageShift][index & kPageMask];
  }
  [[nodiscard]] std::string_view name(std::uint32_t id) const;
  // `source` is the buffer that the tape was built over.
  [[nodiscard]] std::string_view text(Span span, std::string_view source) const;

  // All memory that the tape owns.
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }

 private:
  // Pages and not one vector: growth copies nothing and wastes at most a page.
  static constexpr unsigned kPageShift = 13;
  static constexpr std::size_t kPageTokens = std::size_t{1} << kPageShift;
  static constexpr std::size_t kPageMask = kPageTokens - 1;
  static constexpr unsigned kEventPageShift = 10;
  static constexpr std::size_t kEventPageMask = (std::size_t{1} << kEventPageShift) - 1;
  static constexpr unsigned kArenaShift = 16;
  static constexpr std::uint32_t kArenaChunkBytes = 1U << kArenaShift;
  // A longer text gets a chunk of its own, so that a chunk never wastes more than this.
  static constexpr std::uint32_t kArenaOwnChunkBytes = kArenaChunkBytes / 4;

  struct PackedEvent {
    std::uint32_t root_begin;
    std::uint32_t root_packed;
    std::uint32_t end_token;
  };

  void push(Token token);
  std::uint32_t add_chunk(std::uint32_t bytes);

  std::vector<std::unique_ptr<Token[]>> token_pages_;
  std::size_t token_count_ = 0;
  std::size_t event_tokens_begin_ = 0;  // of the event being built
  std::vector<std::unique_ptr<PackedEvent[]>> event_pages_;
  std::size_t event_count_ = 0;
  std::vector<std::unique_ptr<Token[]>> name_pages_;  // spans of the arena
  std::size_t name_count_ = 0;
  std::vector<std::unique_ptr<char[]>> arena_chunks_;
  std::vector<char*> arena_slots_;  // one for each kArenaChunkBytes of each chunk
  std::uint32_t open_slot_ = 0;     // of the chunk that small texts go to
  std::uint32_t open_used_ = kArenaChunkBytes;
  std::size_t memory_bytes_ = 0;
};

}  // namespace sluice
