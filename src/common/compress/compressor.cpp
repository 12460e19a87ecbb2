#include "common/compress/compressor.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/base/check.h"

namespace sluice {

namespace {

constexpr int kGzipLevelDefault = 1;
constexpr int kGzipLevelMax = 3;
constexpr int kZstdLevelDefault = 3;
// Beyond it a context takes tens of MiB.
constexpr int kZstdLevelMax = 12;

std::size_t gzip_level_bytes(int level) {
  switch (level) {
    case 1:
      return ISAL_DEF_LVL1_DEFAULT;
    case 2:
      return ISAL_DEF_LVL2_DEFAULT;
    default:
      return ISAL_DEF_LVL3_DEFAULT;
  }
}

struct ZstdFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

}  // namespace

struct Compressor::State {
  Compression compression = Compression::none;
  int level = 0;
  bool begun = false;
  isal_zstream gzip{};
  std::vector<std::uint8_t> gzip_level;
  std::unique_ptr<ZSTD_CCtx, ZstdFree> zstd;

  void begin();
  void run_gzip(std::span<const std::byte> bytes, bool last, ByteChain& out);
  void run_zstd(std::span<const std::byte> bytes, bool last, ByteChain& out) const;
};

Compressor::Compressor(Compression compression, int level) : state_(std::make_unique<State>()) {
  state_->compression = compression;
  if (compression == Compression::gzip) {
    state_->level = level <= 0 ? kGzipLevelDefault : std::min(level, kGzipLevelMax);
    state_->gzip_level.resize(gzip_level_bytes(state_->level));
  } else if (compression == Compression::zstd) {
    state_->level = level <= 0 ? kZstdLevelDefault : std::min(level, kZstdLevelMax);
    state_->zstd.reset(ZSTD_createCCtx());
    CHECK_THAT(state_->zstd != nullptr);
    CHECK_THAT(!ZSTD_isError(
        ZSTD_CCtx_setParameter(state_->zstd.get(), ZSTD_c_compressionLevel, state_->level)));
    CHECK_THAT(!ZSTD_isError(ZSTD_CCtx_setParameter(state_->zstd.get(), ZSTD_c_checksumFlag, 1)));
  }
}

Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;
Compressor::~Compressor() = default;

void Compressor::State::begin() {
  begun = true;
  if (compression == Compression::gzip) {
    isal_deflate_init(&gzip);
    gzip.level = static_cast<std::uint32_t>(level);
    gzip.level_buf = gzip_level.data();
    gzip.level_buf_size = static_cast<std::uint32_t>(gzip_level.size());
    gzip.gzip_flag = IGZIP_GZIP;
    gzip.flush = NO_FLUSH;
  }
}

void Compressor::State::run_gzip(std::span<const std::byte> bytes, bool last, ByteChain& out) {
  gzip.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(bytes.data()));
  gzip.avail_in = static_cast<std::uint32_t>(bytes.size());
  gzip.end_of_stream = last ? 1 : 0;
  do {
    const std::span<std::byte> room = out.room();
    gzip.next_out = reinterpret_cast<std::uint8_t*>(room.data());
    gzip.avail_out = static_cast<std::uint32_t>(room.size());
    CHECK_THAT(isal_deflate(&gzip) == COMP_OK);
    out.commit(room.size() - gzip.avail_out);
  } while (gzip.avail_in > 0 || gzip.avail_out == 0 ||
           (last && gzip.internal_state.state != ZSTATE_END));
}

void Compressor::State::run_zstd(std::span<const std::byte> bytes, bool last,
                                 ByteChain& out) const {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    const std::span<std::byte> room = out.room();
    ZSTD_outBuffer to{room.data(), room.size(), 0};
    const std::size_t left =
        ZSTD_compressStream2(zstd.get(), &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    CHECK_THAT(!ZSTD_isError(left));
    out.commit(to.pos);
    if (last ? left == 0 : in.pos == in.size) {
      return;
    }
  }
}

void Compressor::append(std::span<const std::byte> bytes, ByteChain& out) {
  if (bytes.empty()) {
    return;
  }
  if (!state_->begun) {
    state_->begin();
  }
  switch (state_->compression) {
    case Compression::none:
      return out.append(bytes);
    case Compression::gzip:
      return state_->run_gzip(bytes, false, out);
    case Compression::zstd:
      return state_->run_zstd(bytes, false, out);
  }
}

void Compressor::finish(ByteChain& out) {
  if (!state_->begun) {
    return;
  }
  state_->begun = false;
  if (state_->compression == Compression::gzip) {
    state_->run_gzip({}, true, out);
  } else if (state_->compression == Compression::zstd) {
    state_->run_zstd({}, true, out);
  }
}

std::string compress(std::span<const std::byte> bytes, Compression compression, int level) {
  Compressor compressor(compression, level);
  ByteChain chain;
  compressor.append(bytes, chain);
  compressor.finish(chain);
  std::string out(chain.size(), '\0');
  chain.drain_into(std::as_writable_bytes(std::span(out)));
  return out;
}

}  // namespace sluice
