#include "common/spool/spool_format_file.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/base/buffer.h"
#include "common/base/crc32c.h"
#include "common/platform/filesystem.h"

namespace sluice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string hex_of(const std::array<std::uint8_t, 16>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

std::array<std::uint8_t, 16> bytes_of(const std::string& hex) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  return bytes;
}

std::string body_of(const SpoolFormat& format) {
  ordered_json body;
  body["version"] = kSpoolVersion;
  body["uuid"] = hex_of(format.uuid);
  body["secret"] = hex_of(format.secret);
  body["instance"] = format.instance;
  return body.dump();
}

constexpr std::uint64_t kFormatBytesMax = 64 * kKiB;

}  // namespace

// Two lines: the body, and the CRC32C of the body's bytes.
std::string encode_spool_format(const SpoolFormat& format) {
  const std::string body = body_of(format);
  return body + '\n' + std::to_string(crc32c(as_bytes(body))) + '\n';
}

Result<SpoolFormat> decode_spool_format(std::string_view content) {
  const std::size_t line = std::min(content.find('\n'), content.size());
  const std::string_view body = content.substr(0, line);
  if (content.substr(line) != '\n' + std::to_string(crc32c(as_bytes(body))) + '\n') {
    return rejected("FORMAT does not verify");
  }
  try {
    const json in = json::parse(body);
    if (in.at("version").get<std::uint32_t>() > kSpoolVersion) {
      Error newer = rejected("spool version " + in.at("version").dump() +
                             " is newer than this program's " + std::to_string(kSpoolVersion));
      newer.code = EPROTO;
      return newer;
    }
    SpoolFormat format;
    format.uuid = bytes_of(in.at("uuid").get<std::string>());
    format.secret = bytes_of(in.at("secret").get<std::string>());
    in.at("instance").get_to(format.instance);
    return format;
  } catch (const std::exception& problem) {
    return rejected(std::string("FORMAT: ") + problem.what());
  }
}

Result<SpoolFormat> read_spool_format(Filesystem& filesystem, const Path& spool_dir) {
  Error why;
  for (const Path& path : {spool_dir / "FORMAT", spool_dir / "FORMAT.bak"}) {
    auto content = read_file(filesystem, path, kFormatBytesMax);
    auto format = content ? decode_spool_format(*content) : Result<SpoolFormat>(content.error());
    if (format) {
      return format;
    }
    why = format.error();
  }
  return fatal(spool_dir.string() + " is no spool that can be read: " + why.message);
}

}  // namespace sluice
