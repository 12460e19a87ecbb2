#include "common/spool/reason_line.h"

#include <nlohmann/json.hpp>

#include "common/base/utc_text.h"

namespace sluice {

std::string to_json(const ReasonLine& line) {
  nlohmann::ordered_json out;
  out["offset"] = line.offset;
  out["length"] = line.length;
  out["peer"] = to_string(line.peer);
  out["time"] = utc_milliseconds(line.received_at);
  out["reason"] = line.reason;
  if (line.position) {
    out["line"] = line.position->line;
    out["column"] = line.position->column;
  }
  out["sequence"] = line.sequence;
  out["continues"] = line.continues;
  if (line.segment) {
    out["segment"] = to_string(*line.segment);
  }
  return out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<ReasonLine> reason_line_from_json(std::string_view text) {
  ReasonLine line;
  try {
    const auto in = nlohmann::json::parse(text);
    in.at("offset").get_to(line.offset);
    in.at("length").get_to(line.length);
    in.at("reason").get_to(line.reason);
    in.at("continues").get_to(line.continues);
    const auto peer = parse_peer_address(in.at("peer").get<std::string>());
    const auto time = parse_utc_milliseconds(in.at("time").get<std::string>());
    if (!peer || !time) {
      return rejected("a line without a peer or time that can be read");
    }
    line.peer = *peer;
    line.received_at = *time;
    if (in.contains("segment")) {
      line.segment = parse_segment_id(in["segment"].get<std::string>());
    }
  } catch (const nlohmann::json::exception& problem) {
    return rejected(std::string("a line that cannot be read: ") + problem.what());
  }
  return line;
}

}  // namespace sluice
