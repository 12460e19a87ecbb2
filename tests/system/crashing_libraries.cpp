// Bugs of libraries that one event hits, loaded in front of them (LD_PRELOAD): libxml2 dies of
// SIGSEGV at every document that holds CRASH-THE-PARSER, and zstd fails, which its caller takes for
// what cannot be (SIGABRT), at an input that holds CRASH-THE-COMPRESSOR. All others they serve.
#include <dlfcn.h>
#include <libxml/parser.h>
#include <zstd.h>

#include <string_view>

namespace {

volatile char* volatile nowhere = nullptr;

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int xmlParseDocument(xmlParserCtxtPtr context) {
  const auto* begin = reinterpret_cast<const char*>(context->input->cur);
  const auto* end = reinterpret_cast<const char*>(context->input->end);
  const std::string_view document(begin, static_cast<std::size_t>(end - begin));
  if (document.find("CRASH-THE-PARSER") != std::string_view::npos) {
    *nowhere = 1;
  }
  static const auto parse = next<int (*)(xmlParserCtxtPtr)>("xmlParseDocument");
  return parse(context);
}

extern "C" std::size_t ZSTD_compressStream2(ZSTD_CCtx* context, ZSTD_outBuffer* output,
                                            ZSTD_inBuffer* input, ZSTD_EndDirective end) {
  const std::string_view text(static_cast<const char*>(input->src), input->size);
  if (text.find("CRASH-THE-COMPRESSOR") != std::string_view::npos) {
    return static_cast<std::size_t>(-1);  // ZSTD_isError() of it
  }
  using Compress = std::size_t (*)(ZSTD_CCtx*, ZSTD_outBuffer*, ZSTD_inBuffer*, ZSTD_EndDirective);
  static const auto compress = next<Compress>("ZSTD_compressStream2");
  return compress(context, output, input, end);
}
