#include "stages/messages.h"

#include "common/xml/block_cost.h"

namespace sluice {

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::xml:
      return "xml";
    case Protocol::logs:
      return "logs";
    case Protocol::rpc:
      return "rpc";
  }
  return "unknown";
}

std::string_view to_string(ConnectionEnd end) {
  switch (end) {
    case ConnectionEnd::open:
      return "open";
    case ConnectionEnd::finished:
      return "finished";
    case ConnectionEnd::reset:
      return "reset";
    case ConnectionEnd::timed_out:
      return "timed out";
    case ConnectionEnd::refused:
      return "refused";
    case ConnectionEnd::shutdown:
      return "shutdown";
  }
  return "unknown";
}

std::string crashing_condition(const SegmentId& id) {
  return "spool.crashing_segment:" + to_string(id);
}

std::size_t memory_of(const std::vector<RejectedPiece>& rejected) {
  std::size_t bytes =
      rejected.capacity() * sizeof(RejectedPiece) + rejected.size() * kRejectedUploadCost;
  for (const RejectedPiece& piece : rejected) {
    bytes += piece.bytes.capacity() + piece.reason.capacity();
  }
  return bytes;
}

}  // namespace sluice
