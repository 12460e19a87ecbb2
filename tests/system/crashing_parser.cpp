// A bug of a library that one event hits: loaded before libxml2 (LD_PRELOAD), its parser dies of
// SIGSEGV at every document that holds CRASH-THE-PARSER, and parses all others.
#include <dlfcn.h>
#include <libxml/parser.h>

#include <string_view>

namespace {
volatile char* volatile nowhere = nullptr;
}

extern "C" int xmlParseDocument(xmlParserCtxtPtr context) {
  const auto* begin = reinterpret_cast<const char*>(context->input->cur);
  const auto* end = reinterpret_cast<const char*>(context->input->end);
  const std::string_view document(begin, static_cast<std::size_t>(end - begin));
  if (document.find("CRASH-THE-PARSER") != std::string_view::npos) {
    *nowhere = 1;
  }
  using Parse = int (*)(xmlParserCtxtPtr);
  static const auto next = reinterpret_cast<Parse>(dlsym(RTLD_NEXT, "xmlParseDocument"));
  return next(context);
}
