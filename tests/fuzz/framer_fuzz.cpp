// Differential: a stream gives the same cuts, and so the same events, reasons and bytes in the
// books, however it arrives: whole, in parts, byte by byte. Each of them keeps to the framer's
// contract (framing.h checks it). The first bytes of the input choose caps and parts.
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string_view>
#include <vector>

#include "../unit/xml/framing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;  // NOLINT
  constexpr std::size_t kChoices = 4;
  if (size < kChoices) {
    return 0;
  }
  FramerLimits limits;
  limits.event_bytes_max = 16 + data[0];
  limits.malformed_piece_bytes_max = 8U + data[1];
  limits.long_event_sample_bytes = 8U + data[1] / 2U;
  limits.not_xml_sample_bytes = 8;
  limits.depth_max = 1U + data[2] % 8U;
  limits.attributes_max = 2;
  limits.namespaces_max = 2;
  limits.name_bytes_max = 8;
  limits.value_bytes_max = 16;
  const std::string_view text(reinterpret_cast<const char*>(data) + kChoices, size - kChoices);
  std::vector<std::size_t> ends;
  std::uint32_t random = data[3];
  for (std::size_t end = 0; end < text.size();) {
    random = random * 1664525U + 1013904223U;
    end = std::min(text.size(), end + 1 + (random >> 24) % 23);
    ends.push_back(end);
  }
  std::vector<std::size_t> every_byte(text.size());
  std::iota(every_byte.begin(), every_byte.end(), 1);
  const test::Framed whole = test::frame(text, limits);
  for (const auto& cut_at : {ends, every_byte}) {
    const test::Framed parts = test::frame(text, cut_at, limits);
    if (whole.cuts != parts.cuts || whole.refuses != parts.refuses) {
      std::abort();
    }
  }
  return 0;
}
