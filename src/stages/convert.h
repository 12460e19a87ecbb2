// Convert: tapes in, the bytes of objects out: xml (the root elements, joined by LF), json (objects
// joined by comma and LF) or jsonl (a line an event), compressed as one gzip member or zstd frame a
// block. What stands around and between blocks is common/xml/object_frame.h. Any number of
// Converters, a thread each; the same block gives the same bytes on each.
#pragma once

#include <optional>
#include <string>

#include "common/compress/compressor.h"
#include "common/pipeline/outbox.h"
#include "common/xml/xml_to_json.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

class Converter {
 public:
  explicit Converter(Books& books) : books_(books) {}

  Status process(ValidatedBlock block, Outbox<ConvertedBlock>& out);
  Status finish(Outbox<ConvertedBlock>& /*out*/) { return {}; }

 private:
  // Into `body`; returns the uncompressed size.
  std::uint64_t render(const ValidatedBlock& block, ByteChain& body);
  void render_event(const ValidatedBlock& block, std::size_t event);
  Compressor& compressor_for(const SegmentSettings& settings);

  Books& books_;
  XmlToJson json_;
  std::string text_;  // rendered, not compressed yet
  std::optional<Compressor> compressor_;
  Compression compression_ = Compression::none;
  int level_ = 0;
};

}  // namespace sluice
