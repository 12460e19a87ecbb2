#include "common/ndjson/line_renderer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "common/base/check.h"
#include "common/ndjson/line_space.h"
#include "common/ndjson/log_line.h"

namespace sluice {

namespace {

// The room of a larger line is given back.
constexpr std::size_t kMembersKept = 4096;
constexpr std::size_t kTextBytesKept = 64 * kKiB;

constexpr std::string_view kReceivedAt = "_received_at";
constexpr std::string_view kPeer = "_peer";
constexpr std::string_view kClient = "_client";

bool is_string(std::string_view value) { return value.front() == '"'; }
std::string_view inner_of(std::string_view string) { return string.substr(1, string.size() - 2); }

// Only to make comparing cheap: names that collide are compared byte by byte.
std::uint32_t hash_of(std::string_view name) {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  const std::size_t bytes = std::min(name.size(), sizeof head);
  std::memcpy(&head, name.data(), bytes);
  std::memcpy(&tail, name.data() + name.size() - bytes, bytes);
  const std::uint64_t mixed = (head ^ std::rotl(tail, 29) ^ name.size()) * 0x9E3779B97F4A7C15ULL;
  return static_cast<std::uint32_t>(mixed >> 32U);
}

void append_unicode_escape(std::uint32_t character, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (unsigned shift = 16; shift != 0;) {
    shift -= 4;
    out += kHex[(character >> shift) & 15U];
  }
}

// May begin what append_one_line escapes.
constexpr std::array<bool, 256> kMayNeedEscape = [] {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0; byte < 0x20; ++byte) {
    table[byte] = true;
  }
  table[0x7F] = table[0xC2] = table[0xE2] = true;
  return table;
}();

// Appends the character at the start of `text`, and says how long it is.
std::size_t append_shown(std::string_view text, std::string& out) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) {  // C1: U+0080 to U+009F
    append_unicode_escape(static_cast<unsigned char>(text[1]), out);
    return 2;
  }
  if (text.starts_with("\xE2\x80\xA8") || text.starts_with("\xE2\x80\xA9")) {
    append_unicode_escape(text[2] == '\xA8' ? 0x2028 : 0x2029, out);
    return 3;
  }
  switch (lead) {
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (lead < 0x20 || lead == 0x7F) {
        append_unicode_escape(lead, out);
      } else {
        out += text[0];  // the rest of its character follows as it is
      }
  }
  return 1;
}

// `text` is UTF-8.
void append_one_line(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const auto* const special = std::find_if(text.begin(), text.end(), [](char c) {
      return kMayNeedEscape[static_cast<unsigned char>(c)];
    });
    const auto plain = static_cast<std::size_t>(special - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (!text.empty()) {
      text.remove_prefix(append_shown(text, out));
    }
  }
}

}  // namespace

struct LineRenderer::Tape {
  explicit Tape(LineRenderer& to) : renderer(to) {}

  void object_begins(std::uint32_t depth) { object.at(depth) = ++objects; }
  void member_begins(std::uint32_t depth, JsonSpan key, std::uint32_t value_begin) {
    JsonMember member;
    member.key = key;
    member.value.begin = value_begin;
    member.object = object.at(depth);
    member.name = key;
    const std::string_view written = key.in(renderer.line_);
    if (written.find('\\') != std::string_view::npos) {
      std::string& to = renderer.decoded_names_;
      member.decoded = true;
      member.name.begin = static_cast<std::uint32_t>(to.size());
      append_decoded(written, to);
      member.name.end = static_cast<std::uint32_t>(to.size());
    }
    member.name_hash = hash_of(renderer.name_of(member));
    open.at(depth) = static_cast<std::uint32_t>(renderer.members_.size());
    renderer.members_.push_back(member);
  }
  void member_ends(std::uint32_t depth, std::uint32_t value_end) {
    JsonMember& member = renderer.members_[open.at(depth)];
    member.value.end = value_end;
    member.next = static_cast<std::uint32_t>(renderer.members_.size());
  }

  LineRenderer& renderer;
  std::uint32_t objects = 0;
  std::array<std::uint32_t, kJsonDepthMax + 1> object{};  // by depth: its number
  std::array<std::uint32_t, kJsonDepthMax + 1> open{};    // by depth: its member under way
};

bool LineRenderer::read(std::string_view line) {
  CHECK_THAT(line.size() < 2 * kGiB);
  line_ = strip_line(line);
  members_.clear();
  decoded_names_.clear();
  Tape tape(*this);
  if (!scan_json(line_, tape) || line_.front() != '{') {
    return false;
  }
  drop_doubles();
  return find_fields();
}

std::string_view LineRenderer::name_of(const JsonMember& member) const {
  return member.name.in(member.decoded ? std::string_view(decoded_names_) : line_);
}

std::string_view LineRenderer::value_of(std::size_t member) const {
  return members_[member].value.in(line_);
}

// Sorted, members of one object and name stand side by side, the last of them last.
void LineRenderer::drop_doubles() {
  order_.resize(members_.size());
  for (std::size_t i = 0; i < order_.size(); ++i) {
    order_[i] = static_cast<std::uint32_t>(i);
  }
  std::sort(order_.begin(), order_.end(), [this](std::uint32_t a, std::uint32_t b) {
    const JsonMember& one = members_[a];
    const JsonMember& other = members_[b];
    if (one.object != other.object) {
      return one.object < other.object;
    }
    if (one.name_hash != other.name_hash) {
      return one.name_hash < other.name_hash;
    }
    const auto order = name_of(one) <=> name_of(other);
    return order != 0 ? order < 0 : a < b;
  });
  for (std::size_t i = 1; i < order_.size(); ++i) {
    JsonMember& one = members_[order_[i - 1]];
    const JsonMember& other = members_[order_[i]];
    one.dropped = one.object == other.object && one.name_hash == other.name_hash &&
                  name_of(one) == name_of(other);
  }
}

bool LineRenderer::find_fields() {
  const std::size_t none = members_.size();
  level_member_ = none;
  message_member_ = none;
  for (std::size_t i = 0; i < members_.size(); i = members_[i].next) {
    if (members_[i].dropped) {
      continue;
    }
    const std::string_view name = name_of(members_[i]);
    if (name == "level") {
      level_member_ = i;
    } else if (name == "message") {
      message_member_ = i;
    }
  }
  if (level_member_ == none || message_member_ == none) {
    return false;
  }
  const auto level = log_level_of(value_of(level_member_));
  level_ = level.value_or(LogLevel::debug);
  return level.has_value();
}

void LineRenderer::compact_into_text(std::size_t member) {
  text_.clear();
  append_compact(line_, members_[member].value, members_, member + 1, text_);
}

bool LineRenderer::append_log_file_line(std::string_view line, WallTime received_at,
                                        std::string& out) {
  const bool rendered = read(line);
  if (rendered) {
    append_utc_microseconds(received_at, out);
    out += " [";
    out += to_string(level_);
    out += "] ";
    const std::string_view message = value_of(message_member_);
    if (!is_string(message)) {
      compact_into_text(message_member_);
      append_one_line(text_, out);
    } else if (message.find('\\') == std::string_view::npos) {
      append_one_line(inner_of(message), out);
    } else {
      text_.clear();
      append_decoded(inner_of(message), text_);
      append_one_line(text_, out);
    }
    out += '\n';
  }
  release_large();
  return rendered;
}

bool LineRenderer::append_jsonl(std::string_view line, const Origin& origin, std::string& out) {
  const bool rendered = read(line);
  if (rendered) {
    out += "{\"level\":\"";
    out += to_string(level_);
    out += "\",\"message\":\"";
    append_message(out);
    out += '"';
    for (std::size_t i = 0; i < members_.size(); i = members_[i].next) {
      if (!members_[i].dropped && i != level_member_ && i != message_member_) {
        append_field(i, out);
      }
    }
    out += ",\"_received_at\":\"";
    append_utc_microseconds(origin.received_at, out);
    out += "\",\"_peer\":\"";
    out += to_string(origin.peer);
    if (!origin.client_name.empty()) {
      out += "\",\"_client\":\"";
      append_quoted(origin.client_name, out);
    }
    out += "\"}\n";
  }
  release_large();
  return rendered;
}

void LineRenderer::append_message(std::string& out) {
  const std::string_view message = value_of(message_member_);
  if (is_string(message)) {
    append_mended(inner_of(message), out);
  } else {
    compact_into_text(message_member_);
    append_quoted(text_, out);
  }
}

void LineRenderer::append_field(std::size_t number, std::string& out) {
  const JsonMember& member = members_[number];
  const std::string_view name = name_of(member);
  out += ",\"";
  if (name == kReceivedAt || name == kPeer || name == kClient) {
    out.append(free_underscores(name), '_');
    out += name;
  } else {
    append_mended(member.key.in(line_), out);
  }
  out += "\":";
  const std::string_view value = value_of(number);
  if (is_string(value)) {
    append_mended(value, out);
  } else if (value.front() == '{' || value.front() == '[') {
    append_compact(line_, member.value, members_, number + 1, out);
  } else {
    out += value;
  }
}

// How many to put before `name` so that no field has it.
std::size_t LineRenderer::free_underscores(std::string_view name) const {
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < members_.size(); i = members_[i].next) {
    const std::string_view other = name_of(members_[i]);
    if (other.size() > name.size() && other.ends_with(name) &&
        other.find_first_not_of('_') >= other.size() - name.size()) {
      taken.push_back(other.size() - name.size());
    }
  }
  std::sort(taken.begin(), taken.end());
  std::size_t underscores = 1;
  for (const std::size_t count : taken) {
    underscores += count == underscores ? 1 : 0;
  }
  return underscores;
}

void LineRenderer::release_large() {
  line_ = {};
  if (members_.capacity() > kMembersKept) {
    members_ = {};
    order_ = {};
  }
  if (text_.capacity() > kTextBytesKept) {
    text_ = {};
  }
  if (decoded_names_.capacity() > kTextBytesKept) {
    decoded_names_ = {};
  }
}

}  // namespace sluice
