#include "stages/convert.h"

#include <utility>

#include "common/platform/crash_marks.h"

namespace sluice {

namespace {

// The compressor gets its input in parts of at least this. Where they are cut shapes its output:
// it is part of kConverterVersion.
constexpr std::size_t kPartBytes = 64 * kKiB;
// Room for a part and one usual event; what a large one needed is given back.
constexpr std::size_t kTextKeptBytes = 4 * kMiB;

}  // namespace

Status Converter::process(ValidatedBlock block, Outbox<ConvertedBlock>& out) {
  ConvertedBlock made;
  made.segment = block.segment;
  made.index = block.index;
  made.last = block.last;
  made.events = block.tape.size();
  made.rejected = std::move(block.rejected);
  made.pieces = block.pieces;
  made.damaged_bytes = block.damaged_bytes;
  made.room = std::move(block.room);
  if (block.segment->raw) {
    made.body = std::move(block.source);
    return out.push(std::move(made)) ? Status() : Status(cancelled());
  }

  const WorkingOn working_on(block.segment->id);
  ByteChain body;
  made.uncompressed_bytes = render(block, body);
  // Before the body is made: its memory is touched as the chain's pages go.
  block.tape = {};
  block.source.reset();
  made.body = Buffer::allocate(
      body.size(), made.room.split(within_room(body.size(), made.room.bytes(), books_)));
  body.drain_into(made.body.writable());

  made.room.shrink_to(within_room(memory_of(made.rejected), made.room.bytes(), books_));
  books_.bytes_converted.fetch_add(made.uncompressed_bytes, std::memory_order_relaxed);
  return out.push(std::move(made)) ? Status() : Status(cancelled());
}

Compressor& Converter::compressor_for(const SegmentSettings& settings) {
  if (!compressor_ || compression_ != settings.compression ||
      level_ != settings.compression_level) {
    compression_ = settings.compression;
    level_ = settings.compression_level;
    compressor_.emplace(compression_, level_);
  }
  return *compressor_;
}

std::uint64_t Converter::render(const ValidatedBlock& block, ByteChain& body) {
  Compressor& compressor = compressor_for(block.segment->settings);
  const OutputFormat format = block.segment->settings.format;
  std::uint64_t bytes = 0;
  text_.clear();
  for (std::size_t event = 0; event < block.tape.size(); ++event) {
    if (event > 0 && format == OutputFormat::xml) {
      text_ += '\n';
    } else if (event > 0 && format == OutputFormat::json) {
      text_ += ",\n";
    }
    render_event(block, event);
    if (text_.size() >= kPartBytes) {
      bytes += text_.size();
      compressor.append(as_bytes(text_), body);
      text_.clear();
    }
  }
  bytes += text_.size();
  compressor.append(as_bytes(text_), body);
  compressor.finish(body);
  if (text_.capacity() > kTextKeptBytes) {
    text_ = {};
  }
  return bytes;
}

void Converter::render_event(const ValidatedBlock& block, std::size_t event) {
  const SegmentSettings& settings = block.segment->settings;
  if (block.segment->stream == Stream::logs) {
    text_ += block.tape.text(block.tape.event(event).root, block.source.text());
    return;
  }
  switch (settings.format) {
    case OutputFormat::xml:
      text_ += block.tape.text(block.tape.event(event).root, block.source.text());
      return;
    case OutputFormat::json:
      // One level in: the array around the objects is the outermost.
      json_.append(block.tape, event, block.source.text(), {settings.pretty, 1}, text_);
      return;
    case OutputFormat::jsonl:
      json_.append(block.tape, event, block.source.text(), {false, 0}, text_);
      text_ += '\n';
      return;
  }
}

}  // namespace sluice
