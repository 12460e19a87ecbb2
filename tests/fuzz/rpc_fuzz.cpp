// Differential: a stream gives the same answers and the same refusal however it arrives: whole, in
// parts, byte by byte; and libprotobuf alone answers each of its messages so (rpc_stream.h). The
// first bytes of the input choose the longest message and the parts.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "../unit/rpc/rpc_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;  // NOLINT
  constexpr std::size_t kChoices = 2;
  if (size < kChoices) {
    return 0;
  }
  const std::uint32_t message_bytes_max = 1U + data[0];
  const std::string_view stream(reinterpret_cast<const char*>(data) + kChoices, size - kChoices);
  std::vector<std::size_t> ends;
  std::uint32_t random = data[1];
  for (std::size_t end = 0; end < stream.size();) {
    random = random * 1664525U + 1013904223U;
    end = std::min(stream.size(), end + 1 + (random >> 24) % 23);
    ends.push_back(end);
  }
  const test::Answered whole = test::answer(stream, message_bytes_max);
  const test::Answered parts = test::answer(stream, ends, message_bytes_max);
  const test::Answered bytewise = test::answer_bytewise(stream, message_bytes_max);
  for (const test::Answered* other : {&parts, &bytewise}) {
    if (whole.answers != other->answers || whole.refusal != other->refusal ||
        whole.bytes_answered != other->bytes_answered ||
        whole.bytes_framing != other->bytes_framing) {
      std::abort();
    }
  }
  test::compare_with_libprotobuf(stream, message_bytes_max);
  return 0;
}
