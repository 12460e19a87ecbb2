// XmlFramer: cuts one connection's bytes into XML documents and malformed runs; what is neither is
// a separator. Bytes only: no libxml2, no memory of what went by. It may ask for bytes again, so
// the caller keeps all from hold_from() on:
//
//   feed: while (position() < bytes kept) scan(the bytes from position() on, cuts);
//   end:  while (!finish(cuts)) feed;
//
// The same bytes give the same cuts wherever the calls are cut. Each byte is looked at a bounded
// number of times: constructs that are known not to end are skipped, not scanned again.
// docs/decisions/own-framer.md has the rules. Thread-compatible.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "common/base/cut.h"
#include "common/base/units.h"

namespace sluice {

// The caps under which libxml2 stays linear (docs/architecture.md, invariant 11).
struct FramerLimits {
  std::uint64_t event_bytes_max = kMiB;  // below 2 GiB
  std::uint32_t attributes_max = 256;    // in one element
  std::uint32_t depth_max = 128;
  std::uint32_t namespaces_max = 256;  // declarations in scope
  std::uint32_t name_bytes_max = 1024;
  std::uint32_t value_bytes_max = 64 * 1024;       // of an attribute
  std::uint32_t malformed_piece_bytes_max = kMiB;  // longer runs go in pieces
  std::uint32_t long_event_sample_bytes = kMiB;    // kept of an event over event_bytes_max
  std::uint32_t not_xml_sample_bytes = 64 * 1024;  // kept of a connection that is not XML
};

class XmlFramer {
 public:
  explicit XmlFramer(const FramerLimits& limits);

  // The next byte wanted. After scan() either the end of what was given, or an earlier one (never
  // below hold_from()): give it from there again.
  [[nodiscard]] std::uint64_t position() const { return position_; }
  // Bytes from here on belong to no cut and no separator yet.
  [[nodiscard]] std::uint64_t hold_from() const { return mode_ == Mode::top ? position_ : begin_; }
  // The connection's first bytes were no XML in any encoding: close it.
  [[nodiscard]] bool refuses() const { return state_ == State::sample; }

  // `bytes` begin at position().
  void scan(std::span<const std::byte> bytes, std::vector<Cut>& out);
  // No more bytes will come. False: give those from position() again, then call it again.
  [[nodiscard]] bool finish(std::vector<Cut>& out);

 private:
  // What the bytes from begin_ on are part of.
  enum class Mode : std::uint8_t {
    top,       // nothing: between documents
    aside,     // a comment or PI between documents, or what may become a document
    document,  // a document
    run,       // a malformed run: looking for where to go on
  };
  enum class State : std::uint8_t {
    text,         // whatever stands outside markup
    probe,        // a byte order mark, perhaps
    lead,         // "<" and what tells its kind
    declaration,  // "<?xml "
    pi,
    comment,
    cdata,
    search,  // inside a comment that cannot be one: is there a declaration?
    doctype,
    doctype_quote,
    start_name,
    tag,  // in a start tag, behind its name
    value,
    end_name,
    end_tail,  // behind the name of an end tag
    sample,    // not XML: nothing but counting
  };
  struct Level {
    std::uint64_t name = 0;        // fingerprint
    std::uint32_t namespaces = 0;  // declared here
  };
  // What is known of the last comment or CDATA section that was broken or did not end: no
  // terminator in [begin, end) but, where closed, the one that ends at `end`.
  struct Known {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t last_bad = 0;  // position of the last "--" that ends nothing
    std::uint8_t tail = 0;       // of the terminator that was matched at `end`
    bool closed = false;
  };
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::size_t kSeenRootsMax = 8;

  // xml_framer.cpp: what cuts mean.
  void begin_document(std::uint64_t at);
  void close_document(std::uint64_t end);
  void cut_document(std::uint64_t at);
  void start_run(std::uint64_t begin, CutReason reason);
  void flush_run(std::uint64_t known_end);
  void end_run(std::uint64_t at, CutReason reason);
  void resume_at(std::uint64_t at);
  void fail(bool at_end);
  void emit_malformed(std::uint64_t begin, std::uint64_t end, CutReason reason);
  void refuse(std::uint64_t begin, std::uint64_t end);
  void doom(CutReason reason);
  void open_element(std::uint64_t name, std::uint32_t namespaces);
  // True when that ended the document.
  bool close_element(std::uint64_t name);
  void unwind_to(std::uint64_t name);
  void root_begins(std::uint64_t name);
  [[nodiscard]] bool resumes_at_root(std::uint64_t name) const;
  [[nodiscard]] std::uint64_t scan_limit() const;
  [[nodiscard]] std::uint64_t known_end() const;

  // xml_framer_tokens.cpp: from bytes to what they mean. Each takes [p, end), returns how far it
  // came and leaves state_ for the rest.
  const char* step(const char* p, const char* end);
  const char* scan_text(const char* p, const char* end);
  const char* scan_top(const char* p, const char* end);
  const char* scan_prolog(const char* p, const char* end);
  const char* scan_content(const char* p, const char* end);
  const char* scan_run(const char* p, const char* end);
  const char* scan_probe(const char* p, const char* end);
  const char* scan_lead(const char* p, const char* end);
  const char* scan_declaration(const char* p, const char* end);
  const char* scan_pi(const char* p, const char* end);
  const char* scan_comment(const char* p, const char* end);
  const char* scan_cdata(const char* p, const char* end);
  const char* scan_search(const char* p, const char* end);
  const char* scan_doctype(const char* p, const char* end);
  const char* scan_start_name(const char* p, const char* end);
  const char* scan_tag(const char* p, const char* end);
  const char* scan_quoted(const char* p, const char* end);
  const char* scan_end_name(const char* p, const char* end);
  const char* scan_end_tail(const char* p, const char* end);
  void lead_begins(const char* p);
  bool lead_continues(char c);
  bool lead_first(char c);
  bool lead_question(char c);
  bool lead_exclamation(char c);
  void lead_is_no_markup();
  void declaration_begins();
  void declaration_ends();
  void comment_begins();
  void comment_ends(std::uint64_t end);
  void cdata_begins();
  void doctype_begins();
  void construct_ends();
  void start_name_ends();
  void tag_begins(std::uint64_t name);
  void tag_ends(std::uint64_t end, bool self_closing);
  void attribute_begins(std::uint64_t value_begin);
  void add_to_attribute_name(const char* begin, const char* end);
  void add_to_name(const char* begin, const char* end);
  [[nodiscard]] std::uint64_t at(const char* p) const {
    return base_position_ + static_cast<std::uint64_t>(p - base_);
  }

  FramerLimits limits_;
  std::vector<Cut>* out_ = nullptr;  // during scan and finish
  const char* base_ = nullptr;       // during scan: where base_position_ lies
  std::uint64_t base_position_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t rewind_to_ = kNever;  // asked for by fail and comment_ends

  Mode mode_ = Mode::top;
  State state_ = State::text;
  std::uint64_t begin_ = 0;

  // document
  std::vector<Level> levels_;
  std::uint64_t levels_over_ = 0;  // open elements past depth_max
  std::uint32_t namespaces_ = 0;   // in scope
  CutReason doomed_ = CutReason::none;
  bool root_begun_ = false;
  std::uint64_t root_begin_ = 0;
  bool only_declared_ = false;  // nothing but white space since the declaration
  bool any_markup_ = false;     // on this connection

  // run
  CutReason reason_ = CutReason::none;
  std::uint32_t sample_bytes_ = 0;        // 0: all is kept
  bool refusing_ = false;                 // the sample is full
  std::uint64_t blind_from_ = kNever;     // comments and CDATA that begin here are not closed
  std::uint64_t rescan_end_ = 0;          // nothing before it is given away yet
  std::uint64_t document_failed_at_ = 0;  // a document that begins before it ended this one
  std::uint64_t roots_rescanned_until_ = 0;

  // tokens
  std::uint64_t token_begin_ = 0;      // of the '<'
  std::uint64_t construct_begin_ = 0;  // of the comment or CDATA section
  State return_to_ = State::text;      // behind a lead
  State construct_return_to_ = State::text;
  std::array<char, 9> lead_{};
  std::uint8_t lead_length_ = 0;
  std::uint8_t tail_ = 0;  // bytes of a terminator matched so far
  char quote_ = 0;
  bool subset_ = false;  // in the internal subset of a DOCTYPE
  bool slash_ = false;   // the last byte of the tag was one
  std::uint64_t name_ = 0;
  std::uint64_t name_bytes_ = 0;
  std::uint64_t attribute_head_ = 0;  // first bytes of an attribute's name
  std::uint64_t attribute_name_bytes_ = 0;
  bool attribute_open_ = false;  // in its name
  std::uint64_t value_begin_ = 0;
  std::uint64_t search_end_ = 0;
  std::uint64_t last_bad_ = 0;
  std::uint64_t skip_until_ = 0;
  bool skip_closes_ = false;
  std::uint32_t attributes_ = 0;
  std::uint32_t tag_namespaces_ = 0;
  Known comment_known_;
  Known cdata_known_;
  std::string declaration_;
  std::array<std::uint64_t, kSeenRootsMax> seen_roots_{};
  std::uint32_t seen_root_count_ = 0;  // ever
};

}  // namespace sluice
