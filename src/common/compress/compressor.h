// Compressor: bytes in, one gzip member (ISA-L; RFC 1952 with mtime 0, no name) or one zstd frame
// (RFC 8878) out. The same bytes appended in the same cuts give the same output on one version of
// the libraries and one kind of processor. One thread at a time; keeps its state between members.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "common/compress/byte_chain.h"
#include "common/spool/segment_settings.h"

namespace sluice {

class Compressor {
 public:
  // Levels: gzip 1..3 (ISA-L's own; above is 3), zstd 1..12; 0 and below take the default, gzip 1
  // and zstd 3. `none` copies.
  Compressor(Compression compression, int level);
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;
  ~Compressor();

  void append(std::span<const std::byte> bytes, ByteChain& out);
  // Ends the member or frame; the next append begins another. Nothing appended, nothing written.
  void finish(ByteChain& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// All of `bytes` as one member or frame; empty for empty.
std::string compress(std::span<const std::byte> bytes, Compression compression, int level);

}  // namespace sluice
