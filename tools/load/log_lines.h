// Log lines for a connection's send buffer: JSON objects of about 200 bytes as services write them,
// each with an identifier of its own in "id" (16 hex digits), and what is to be answered to each.
//
// They are pre-rendered from the seed; sending one is a copy and its identifier. Levels: 10 %
// DEBUG, 60 % INFO, 15 % WARNING, 12 % ERROR, 3 % CRITICAL, some in small letters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "options.h"
#include "random.h"
#include "source.h"

namespace sluice::load {

class LogLineSource final : public Source {
 public:
  LogLineSource(const Options& options, Record& record);

  // A line and its end (--separator); with --separator mixed there may be blank lines behind it.
  void append(bool first_of_connection, std::string& buffer,
              std::deque<RenderedEvent>& rendered) override;

 private:
  struct Form {
    std::string bytes;
    std::size_t identifier_at = 0;
    AnswerKind answer = AnswerKind::received;
  };
  Form make_form(std::string_view date);
  Form make_malformed(std::size_t number, std::string_view date);
  std::string_view end_of_line();

  const Options& options_;
  Record& record_;
  Random random_;
  std::vector<Form> forms_;
  std::vector<Form> malformed_;
  std::uint64_t next_identifier_;
};

}  // namespace sluice::load
