#include "common/xml/xml_parser.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <string_view>

#include "common/base/check.h"
#include "common/xml/encoding.h"
#include "common/xml/tape_builder.h"
#include "common/xml/transcoder.h"
#include "common/xml/xml_prolog.h"

namespace sluice {

namespace {

// Names that a context remembers before it is made anew: a feed has tens.
constexpr int kDictionaryNamesMax = 8192;
// Different names in one document. libxml2 2.9 keeps them in a table of at most 16,384 chains: what
// a document costs grows with the square of their number, and this bounds it.
constexpr int kNamesMax = 131'072;
// A shorter document cannot have so many: `<a/>` is the shortest that brings a new one.
constexpr std::uint32_t kNamesCountedFrom = 4 * kNamesMax;

// Our own words for what libxml2 found: its own carry names out of the document.
struct Words {
  int code;
  const char* text;
};
constexpr Words kWords[] = {
    {XML_ERR_DOCUMENT_EMPTY, "no root element"},
    {XML_ERR_DOCUMENT_END, "text behind the root element, or the document ends too early"},
    {XML_ERR_INVALID_CHAR, "a character that XML does not allow"},
    {XML_ERR_INVALID_CHARREF, "a character reference that XML does not allow"},
    {XML_ERR_INVALID_HEX_CHARREF, "a malformed character reference"},
    {XML_ERR_INVALID_DEC_CHARREF, "a malformed character reference"},
    {XML_ERR_ENTITYREF_NO_NAME, "'&' without the name of an entity"},
    {XML_ERR_ENTITYREF_SEMICOL_MISSING, "an entity reference without ';'"},
    {XML_ERR_UNDECLARED_ENTITY, "an undeclared entity"},
    {XML_WAR_UNDECLARED_ENTITY, "an undeclared entity"},
    {XML_ERR_ATTRIBUTE_NOT_STARTED, "an attribute value without quotes"},
    {XML_ERR_ATTRIBUTE_NOT_FINISHED, "an attribute value that does not end"},
    {XML_ERR_ATTRIBUTE_WITHOUT_VALUE, "an attribute without a value"},
    {XML_ERR_ATTRIBUTE_REDEFINED, "an attribute given twice"},
    {XML_ERR_LT_IN_ATTRIBUTE, "'<' in an attribute value"},
    {XML_ERR_COMMENT_NOT_FINISHED, "a comment that does not end"},
    {XML_ERR_HYPHEN_IN_COMMENT, "'--' in a comment"},
    {XML_ERR_PI_NOT_STARTED, "a malformed processing instruction"},
    {XML_ERR_PI_NOT_FINISHED, "a processing instruction that does not end"},
    {XML_ERR_RESERVED_XML_NAME, "an XML declaration that is not at the start"},
    {XML_ERR_MISPLACED_CDATA_END, "']]>' in text"},
    {XML_ERR_CDATA_NOT_FINISHED, "a CDATA section that does not end"},
    {XML_ERR_SPACE_REQUIRED, "missing white space"},
    {XML_ERR_LT_REQUIRED, "'<' expected"},
    {XML_ERR_GT_REQUIRED, "'>' expected"},
    {XML_ERR_LTSLASH_REQUIRED, "an end tag expected"},
    {XML_ERR_EQUAL_REQUIRED, "'=' expected"},
    {XML_ERR_NAME_REQUIRED, "a name expected"},
    {XML_ERR_TAG_NAME_MISMATCH, "opening and ending tag do not match"},
    {XML_ERR_TAG_NOT_FINISHED, "an element that does not end"},
    {XML_ERR_EXTRA_CONTENT, "extra content"},
    {XML_NS_ERR_UNDEFINED_NAMESPACE, "an undeclared namespace prefix"},
    {XML_NS_ERR_ATTRIBUTE_REDEFINED, "an attribute given twice in one namespace"},
    {XML_NS_ERR_QNAME, "a malformed qualified name"},
    {XML_NS_ERR_XML_NAMESPACE, "a reserved namespace declared"},
    {XML_NS_ERR_EMPTY, "an empty namespace name"},
    {XML_NS_ERR_COLON, "a misplaced ':' in a name"},
};

std::string words_for(int code) {
  for (const Words& words : kWords) {
    if (words.code == code) {
      return std::string("not well-formed: ") + words.text;
    }
  }
  return "not well-formed: libxml2 error " + std::to_string(code);
}

xmlParserInputPtr refuse_entity(const char* /*url*/, const char* /*id*/, xmlParserCtxtPtr /*ctx*/) {
  return nullptr;
}

// The type of a libxml2 message handler.
void ignore_message(void* /*context*/, const char* /*format*/, ...) {}  // NOLINT(cert-dcl50-cpp)

void initialise_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    xmlInitParser();
    xmlSetExternalEntityLoader(refuse_entity);
  });
}

struct Place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;  // in bytes
};

Place place_of(std::string_view document, std::size_t at) {
  const std::string_view before = document.substr(0, at);
  const std::size_t line_begin = before.rfind('\n');  // npos + 1 is 0
  return {static_cast<std::uint32_t>(1 + std::count(before.begin(), before.end(), '\n')),
          static_cast<std::uint32_t>(before.size() - (line_begin + 1) + 1)};
}

XmlRejection rejection(std::string_view document, std::size_t at, std::string reason) {
  const Place place = place_of(document, at);
  return {std::move(reason), place.line, place.column};
}

}  // namespace

class XmlParser::Impl {
 public:
  Impl() {
    initialise_once();
    make_context();
  }
  ~Impl() { xmlFreeParserCtxt(context_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void begin_tape() { builder_.forget_names(); }
  std::optional<XmlRejection> parse(std::span<char> source, Document document, EventTape& tape);

 private:
  // What libxml2 is given: a document's bytes behind its declaration, in UTF-8, with room for a
  // terminator behind them.
  struct Input {
    char* text = nullptr;
    std::uint32_t bytes = 0;
    EventTape::Span base;  // of text[0] in the tape
    Place place;           // of text[0] in the document
  };

  void make_context();
  void count_names();
  std::optional<XmlRejection> prepare(std::span<char> source, Document document, EventTape& tape,
                                      Input& input);
  std::optional<XmlRejection> transcode(std::string_view document,
                                        const XmlDeclaration& declaration, EventTape& tape,
                                        Input& input);
  std::optional<XmlRejection> run(const Input& input, EventTape& tape);
  std::uint32_t offset_of_cursor() const {
    return static_cast<std::uint32_t>(reinterpret_cast<const char*>(context_->input->cur) -
                                      input_begin_);
  }

  std::string_view in_input(std::string_view text) const;

  static Impl& self(void* user) { return *static_cast<Impl*>(user); }
  static void on_start(void* user, const xmlChar* local, const xmlChar* prefix, const xmlChar* uri,
                       int namespace_count, const xmlChar** namespaces, int attribute_count,
                       int defaulted, const xmlChar** attributes);
  static void on_end(void* user, const xmlChar* local, const xmlChar* prefix, const xmlChar* uri);
  static void on_text(void* user, const xmlChar* text, int bytes);
  static void on_instruction(void* user, const xmlChar* target, const xmlChar* text);
  static void on_doctype(void* user, const xmlChar* name, const xmlChar* external,
                         const xmlChar* system);
  static void on_error(void* user, xmlErrorPtr error);

  xmlParserCtxtPtr context_ = nullptr;
  TapeBuilder builder_;
  Transcoder transcoder_;
  bool tokens_ = false;
  const char* input_begin_ = nullptr;
  std::size_t input_bytes_ = 0;
  std::size_t depth_ = 0;
  std::uint32_t root_end_ = 0;
  int error_code_ = 0;  // the first
  std::uint32_t error_line_ = 0;
  std::uint32_t error_column_ = 0;
  bool doctype_ = false;
  int names_at_start_ = 0;  // of the dictionary
  bool count_names_ = false;
  bool too_many_names_ = false;
};

void XmlParser::Impl::make_context() {
  if (context_ != nullptr) {
    xmlFreeParserCtxt(context_);
  }
  context_ = xmlNewParserCtxt();
  if (context_ == nullptr) {
    throw std::bad_alloc();
  }
  xmlSAXHandler& sax = *context_->sax;
  std::memset(&sax, 0, sizeof(sax));
  sax.initialized = XML_SAX2_MAGIC;
  sax.internalSubset = on_doctype;
  sax.processingInstruction = on_instruction;
  sax.startElementNs = on_start;
  sax.endElementNs = on_end;
  sax.characters = on_text;
  sax.ignorableWhitespace = on_text;
  sax.cdataBlock = on_text;
  sax.error = ignore_message;
  sax.warning = ignore_message;
  sax.serror = on_error;
  context_->userData = this;
  // NOENT: without it `&` in an attribute value stays "&#38;"; there are none but the predefined
  // entities to replace. HUGE lifts caps that the framer has set lower (depth 256, names of 50,000
  // bytes) and others that depend on how much was read before.
  xmlCtxtUseOptions(context_, XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_HUGE);
  builder_.forget_names();
}

void XmlParser::Impl::on_start(void* user, const xmlChar* local, const xmlChar* prefix,
                               const xmlChar* /*uri*/, int namespace_count,
                               const xmlChar** namespaces, int attribute_count, int /*defaulted*/,
                               const xmlChar** attributes) {
  Impl& impl = self(user);
  ++impl.depth_;
  impl.count_names();
  if (impl.error_code_ != 0) {
    xmlStopParser(impl.context_);  // a namespace error does not end it by itself
    return;
  }
  if (!impl.tokens_) {
    return;
  }
  const auto text = [](const xmlChar* bytes) { return reinterpret_cast<const char*>(bytes); };
  impl.builder_.open(text(local), text(prefix));
  for (std::ptrdiff_t i = 0; i < namespace_count; ++i) {
    const char* uri = text(namespaces[2 * i + 1]);
    impl.builder_.namespace_declaration(text(namespaces[2 * i]), uri == nullptr ? "" : uri);
  }
  for (int i = 0; i < attribute_count; ++i) {
    const xmlChar** attribute = attributes + static_cast<std::ptrdiff_t>(5) * i;
    impl.builder_.attribute(
        text(attribute[0]), text(attribute[1]),
        {text(attribute[3]), static_cast<std::size_t>(attribute[4] - attribute[3])});
  }
}

void XmlParser::Impl::on_end(void* user, const xmlChar* /*local*/, const xmlChar* /*prefix*/,
                             const xmlChar* /*uri*/) {
  Impl& impl = self(user);
  if (impl.tokens_ && impl.error_code_ == 0) {
    impl.builder_.close();
  }
  if (--impl.depth_ == 0) {
    impl.root_end_ = impl.offset_of_cursor();
  }
}

void XmlParser::Impl::on_text(void* user, const xmlChar* text, int bytes) {
  Impl& impl = self(user);
  if (impl.tokens_ && impl.error_code_ == 0) {
    impl.builder_.text(
        impl.in_input({reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes)}));
  }
}

// libxml2 hands out text that is not ASCII from a buffer of its own. Mostly the same bytes lie just
// before its cursor, or one character further: then those are taken, and need no copy.
std::string_view XmlParser::Impl::in_input(std::string_view text) const {
  const char* const end = input_begin_ + input_bytes_;
  if (text.empty() || (text.data() >= input_begin_ && text.data() < end)) {
    return text;
  }
  std::size_t last = 1;
  while (last < 4 && last < text.size() && (text[text.size() - last] & 0xC0) == 0x80) {
    ++last;
  }
  const char* const cursor = reinterpret_cast<const char*>(context_->input->cur);
  for (const char* behind : {cursor, cursor + last}) {
    if (behind <= end && behind - input_begin_ >= static_cast<std::ptrdiff_t>(text.size()) &&
        std::memcmp(behind - text.size(), text.data(), text.size()) == 0) {
      return {behind - text.size(), text.size()};
    }
  }
  return text;
}

void XmlParser::Impl::on_doctype(void* user, const xmlChar* /*name*/, const xmlChar* /*external*/,
                                 const xmlChar* /*system*/) {
  self(user).doctype_ = true;
  xmlStopParser(self(user).context_);
}

void XmlParser::Impl::on_instruction(void* user, const xmlChar* /*target*/,
                                     const xmlChar* /*text*/) {
  self(user).count_names();
}

void XmlParser::Impl::count_names() {
  if (count_names_ && !too_many_names_ &&
      xmlDictSize(context_->dict) - names_at_start_ > kNamesMax) {
    too_many_names_ = true;
    error_line_ = static_cast<std::uint32_t>(std::max(context_->input->line, 0));
    error_column_ = static_cast<std::uint32_t>(std::max(context_->input->col, 0));
    xmlStopParser(context_);
  }
}

void XmlParser::Impl::on_error(void* user, xmlErrorPtr error) {
  Impl& impl = self(user);
  // A namespace's name is a name: that it is no URI hurts nobody, and no reader has to look.
  if (error->level < XML_ERR_ERROR || error->code == XML_WAR_NS_URI || impl.error_code_ != 0) {
    return;
  }
  impl.error_code_ = error->code;
  impl.error_line_ = error->line > 0 ? static_cast<std::uint32_t>(error->line) : 0;
  impl.error_column_ = error->int2 > 0 ? static_cast<std::uint32_t>(error->int2) : 0;
}

std::optional<XmlRejection> XmlParser::Impl::transcode(std::string_view document,
                                                       const XmlDeclaration& declaration,
                                                       EventTape& tape, Input& input) {
  const Transcoder::Table* table = transcoder_.table(declaration.encoding);
  if (table == nullptr) {
    return rejection(document, 0, "unsupported encoding");
  }
  std::size_t bytes = 0;
  for (std::size_t at = declaration.end; at < document.size(); ++at) {
    const std::uint8_t length = (*table)[static_cast<unsigned char>(document[at])].bytes;
    if (length == 0) {
      return rejection(document, at, "a byte that the declared encoding does not define");
    }
    bytes += length;
  }
  char* into = nullptr;
  input.base = tape.reserve(static_cast<std::uint32_t>(bytes + 1), &into);
  input.text = into;
  input.bytes = static_cast<std::uint32_t>(bytes);
  for (std::size_t at = declaration.end; at < document.size(); ++at) {
    const Transcoder::Character& character = (*table)[static_cast<unsigned char>(document[at])];
    std::memcpy(into, character.utf8.data(), character.bytes);
    into += character.bytes;
  }
  return std::nullopt;
}

std::optional<XmlRejection> XmlParser::Impl::prepare(std::span<char> source, Document document,
                                                     EventTape& tape, Input& input) {
  const std::string_view text(source.data() + document.begin, document.length);
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return rejection(text, nul, "a NUL byte");
  }
  const XmlDeclaration declaration = read_declaration(text);
  if (!declaration.error.empty()) {
    return rejection(text, declaration.error_at, std::string(declaration.error));
  }
  if (const XmlRoot root = find_root(text, declaration.end); root.doctype) {
    return rejection(text, root.begin, "a DOCTYPE, which is not accepted");
  }
  input = {source.data() + document.begin + declaration.end,
           document.length - static_cast<std::uint32_t>(declaration.end),
           {document.begin + static_cast<std::uint32_t>(declaration.end), 0, false},
           place_of(text, declaration.end)};
  const std::size_t non_ascii = find_non_ascii(text);
  if (non_ascii == text.size()) {
    if (encoding_kind(declaration.encoding) == EncodingKind::unsupported) {
      return rejection(text, 0, "unsupported encoding");
    }
    return std::nullopt;
  }
  switch (encoding_kind(declaration.encoding)) {
    case EncodingKind::utf8:
      if (const std::size_t bad = find_invalid_utf8(text); bad != text.size()) {
        return rejection(text, bad, "invalid UTF-8");
      }
      return std::nullopt;
    case EncodingKind::ascii:
      return rejection(text, non_ascii, "a byte that the declared encoding does not define");
    case EncodingKind::single_byte:
      return transcode(text, declaration, tape, input);
    case EncodingKind::unsupported:
      break;
  }
  return rejection(text, 0, "unsupported encoding");
}

std::optional<XmlRejection> XmlParser::Impl::run(const Input& input, EventTape& tape) {
  builder_.begin_event(tape, {input.text, input.bytes}, input.base);
  input_begin_ = input.text;
  input_bytes_ = input.bytes;
  depth_ = 0;
  root_end_ = 0;
  error_code_ = 0;
  doctype_ = false;
  count_names_ = input.bytes >= kNamesCountedFrom;
  too_many_names_ = false;
  if (count_names_) {
    make_context();  // what came before must not change what is found
  }
  xmlCtxtReset(context_);
  names_at_start_ = xmlDictSize(context_->dict);
  // An input without a buffer behind it: libxml2 reads our memory, never moves or refills it, and
  // stops at the terminator.
  xmlParserInputPtr stream = xmlNewInputStream(context_);
  if (stream == nullptr) {
    throw std::bad_alloc();
  }
  stream->base = reinterpret_cast<const xmlChar*>(input.text);
  stream->cur = stream->base;
  stream->end = stream->base + input.bytes;
  stream->length = static_cast<int>(input.bytes);
  inputPush(context_, stream);
  xmlParseDocument(context_);
  const bool well_formed =
      context_->wellFormed == 1 && error_code_ == 0 && !doctype_ && !too_many_names_;
  if (context_->myDoc != nullptr) {
    xmlFreeDoc(context_->myDoc);
    context_->myDoc = nullptr;
  }
  if (well_formed) {
    return std::nullopt;
  }
  if (doctype_) {
    return XmlRejection{"a DOCTYPE, which is not accepted", 0, 0};
  }
  const std::uint32_t column =
      error_line_ <= 1 ? error_column_ + input.place.column - 1 : error_column_;
  return XmlRejection{too_many_names_ ? "over 131072 different names" : words_for(error_code_),
                      error_line_ == 0 ? 0 : error_line_ + input.place.line - 1, column};
}

std::optional<XmlRejection> XmlParser::Impl::parse(std::span<char> source, Document document,
                                                   EventTape& tape) {
  CHECK_THAT(std::uint64_t{document.begin} + document.length < source.size());
  tokens_ = document.tokens;
  Input input;
  if (auto refused = prepare(source, document, tape, input)) {
    return refused;
  }
  char* const behind = input.text + input.bytes;
  const char saved = *behind;
  *behind = '\0';
  auto refused = run(input, tape);
  *behind = saved;
  if (refused) {
    tape.drop_event();
  } else {
    const auto root = static_cast<std::uint32_t>(find_root({input.text, input.bytes}, 0).begin);
    CHECK_THAT(root < root_end_ && root_end_ <= input.bytes);
    tape.end_event({input.base.begin + root, root_end_ - root, input.base.in_arena});
  }
  if (xmlDictSize(context_->dict) > kDictionaryNamesMax) {
    make_context();
  }
  return refused;
}

XmlParser::XmlParser() : impl_(std::make_unique<Impl>()) {}
XmlParser::XmlParser(XmlParser&&) noexcept = default;
XmlParser& XmlParser::operator=(XmlParser&&) noexcept = default;
XmlParser::~XmlParser() = default;

void XmlParser::begin_tape() { impl_->begin_tape(); }

std::optional<XmlRejection> XmlParser::parse(std::span<char> source, Document document,
                                             EventTape& tape) {
  return impl_->parse(source, document, tape);
}

}  // namespace sluice
