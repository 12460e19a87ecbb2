// Undoes Compressor with libraries that it does not use where there is one: zlib for gzip, libzstd
// for zstd. Takes any number of concatenated members or frames.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include "common/spool/segment_settings.h"

namespace sluice::test {

inline std::string gunzip(std::string_view in) {
  std::string out;
  while (!in.empty()) {
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) {
      throw std::runtime_error("inflateInit2");
    }
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream.avail_in = static_cast<uInt>(in.size());
    int status = Z_OK;
    while (status == Z_OK) {
      char room[65536];
      stream.next_out = reinterpret_cast<Bytef*>(room);
      stream.avail_out = sizeof(room);
      status = inflate(&stream, Z_NO_FLUSH);
      out.append(room, sizeof(room) - stream.avail_out);
    }
    in.remove_prefix(in.size() - stream.avail_in);
    inflateEnd(&stream);
    if (status != Z_STREAM_END) {
      throw std::runtime_error("not a whole gzip member");
    }
  }
  return out;
}

inline std::string unzstd(std::string_view in) {
  std::string out;
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  std::size_t left = 0;
  while (from.pos < from.size) {
    char room[65536];
    ZSTD_outBuffer to{room, sizeof(room), 0};
    left = ZSTD_decompressStream(context, &to, &from);
    if (ZSTD_isError(left)) {
      break;
    }
    out.append(room, to.pos);
    while (to.pos == to.size && left != 0) {  // more of this input waits inside
      to = {room, sizeof(room), 0};
      left = ZSTD_decompressStream(context, &to, &from);
      out.append(room, to.pos);
    }
  }
  ZSTD_freeDCtx(context);
  if (left != 0) {
    throw std::runtime_error("not a whole zstd frame");
  }
  return out;
}

inline std::string decompress(std::string_view in, Compression compression) {
  switch (compression) {
    case Compression::none:
      return std::string(in);
    case Compression::gzip:
      return gunzip(in);
    case Compression::zstd:
      return unzstd(in);
  }
  return {};
}

}  // namespace sluice::test
