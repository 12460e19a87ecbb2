// Any bytes as the beginning of a connection that says the PROXY protocol: the verdict is the same
// wherever the bytes are cut, within the named limits, and an address that comes out prints as one.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/check.h"
#include "common/net/proxy_protocol.h"

using namespace sluice;

namespace {

using Bytes = std::span<const std::byte>;

void look_at(Bytes bytes) {
  const ProxyHeader whole = parse_proxy_header(bytes);
  if (whole.kind == ProxyHeader::Kind::done) {
    CHECK_THAT(whole.bytes > 0 && whole.bytes <= std::min(bytes.size(), kProxyHeaderBytesMax));
    // What is behind a header has no say.
    CHECK_THAT(parse_proxy_header(bytes.first(whole.bytes)).client == whole.client);
    if (whole.client) {
      CHECK_THAT(parse_peer_address(to_string(*whole.client)) == whole.client);
    }
  } else {
    CHECK_THAT(whole.bytes == 0 && !whole.client);
  }
  CHECK_THAT(whole.reason.empty() == (whole.kind != ProxyHeader::Kind::invalid));
  CHECK_THAT(whole.kind != ProxyHeader::Kind::need_more || bytes.size() < kProxyHeaderBytesMax);

  bool decided = false;
  const std::size_t cuts = std::min(bytes.size(), std::size_t{300});
  for (std::size_t cut = 0; cut <= cuts; ++cut) {
    const ProxyHeader part = parse_proxy_header(bytes.first(cut));
    CHECK_THAT(!decided || part.kind != ProxyHeader::Kind::need_more);
    decided = part.kind != ProxyHeader::Kind::need_more;
    CHECK_THAT(!decided || (part.kind == whole.kind && part.bytes == whole.bytes &&
                            part.client == whole.client && part.reason == whole.reason));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(input), size);
  look_at(bytes);
  // Behind a good beginning of each version, so that what is said there is reached.
  constexpr std::string_view kLine = "PROXY TCP";
  constexpr std::string_view kBinary("\r\n\r\n\0\r\nQUIT\n\x21", 13);
  for (const std::string_view begin : {kLine, kBinary}) {
    std::string text(begin);
    text.append(reinterpret_cast<const char*>(input), size);
    look_at(std::as_bytes(std::span(text)));
  }
  return 0;
}
