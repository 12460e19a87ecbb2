#include "log_lines.h"

#include <array>
#include <ctime>

#include "event_forms.h"

namespace sluice::load {
namespace {

constexpr std::size_t kForms = 512;
constexpr std::size_t kFormsMalformed = 32;
constexpr std::string_view kHole = "0000000000000000";
static_assert(kHole.size() == kIdentifierDigits);

// What the log collection server answered, and Sluice answers: written down here once more, not
// taken from the server's code, which is what is checked.
constexpr std::array<std::string_view, 5> kReplies = {
    "{\"status\": \"ok\", \"message\": \"received\"}\n",
    "{\"status\": \"ok\", \"message\": \"filtered\"}\n",
    "{\"status\": \"error\", \"message\": \"invalid JSON\"}\n",
    "{\"status\": \"error\", \"message\": \"missing required fields: level, message\"}\n",
    "{\"status\": \"error\", \"message\": \"expected JSON object\"}\n"};

struct Spelling {
  std::string_view text;
  LineLevel level;
  std::uint64_t weight;
};
constexpr std::array kSpellings = {
    Spelling{"DEBUG", LineLevel::debug, 8},       Spelling{"debug", LineLevel::debug, 2},
    Spelling{"INFO", LineLevel::info, 50},        Spelling{"info", LineLevel::info, 10},
    Spelling{"WARNING", LineLevel::warning, 12},  Spelling{"Warning", LineLevel::warning, 3},
    Spelling{"ERROR", LineLevel::error, 10},      Spelling{"error", LineLevel::error, 2},
    Spelling{"CRITICAL", LineLevel::critical, 3},
};
constexpr std::uint64_t kWeights = 100;

constexpr std::array<std::string_view, 6> kServices = {"door-controller", "badge-sync", "api",
                                                       "scheduler",       "mailer",     "archive"};
// # stands for a number.
constexpr std::array<std::string_view, 8> kMessages = {
    "access granted to badge # at reader #",
    "connection to panel # lost: timed out after # ms, trying again",
    "GET /api/v1/doors/#/state 200 in # ms",
    "T\u00fcr \\\"S\u00fcd #\\\" ge\u00f6ffnet, Ausweis #",
    "disk usage # % on /var/lib/archive, # files removed",
    "query took # ms: SELECT name FROM holders WHERE badge = #",
    "unhandled error in job #\\nTraceback (most recent call last):\\n  line #",
    "certificate of panel # ends in # days",
};

const Spelling& pick_spelling(Random& random) {
  std::uint64_t left = random.below(kWeights);
  for (const Spelling& spelling : kSpellings) {
    if (left < spelling.weight) {
      return spelling;
    }
    left -= spelling.weight;
  }
  return kSpellings.back();
}

std::string make_message(Random& random) {
  std::string message;
  for (const char character : kMessages.at(random.below(kMessages.size()))) {
    if (character == '#') {
      message += std::to_string(1 + random.below(99'999));
    } else {
      message += character;
    }
  }
  return message;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return text.data();
}

}  // namespace

LogLineSource::LogLineSource(const Options& options, Record& record)
    : options_(options),
      record_(record),
      random_(mix(options.seed)),
      next_identifier_(random_.next()) {
  const std::string date = utc_now();
  for (std::size_t i = 0; i < kForms; ++i) {
    forms_.push_back(make_form(date));
  }
  for (std::size_t i = 0; i < kFormsMalformed; ++i) {
    malformed_.push_back(make_malformed(i, date));
  }
}

LogLineSource::Form LogLineSource::make_form(std::string_view date) {
  const Spelling& spelling = pick_spelling(random_);
  Form form;
  std::string& bytes = form.bytes;
  bytes = "{\"timestamp\":\"" + std::string(date) + "." + std::to_string(random_.below(1000)) +
          "Z\",\"level\":\"";
  bytes.append(spelling.text).append("\",\"service\":\"");
  bytes.append(kServices.at(random_.below(kServices.size())));
  bytes += "\",\"host\":\"gate-" + std::to_string(random_.below(40)) + "\",\"id\":\"";
  form.identifier_at = bytes.size();
  bytes.append(kHole).append("\",\"message\":\"").append(make_message(random_)).append("\"");
  if (random_.below(4) != 0) {
    bytes += ", \"context\": {\"attempt\": " + std::to_string(random_.below(5)) +
             ", \"ms\": " + std::to_string(random_.below(10'000)) + ".5, \"ok\": true}";
  }
  bytes += "}";
  form.answer = spelling.level >= options_.level_min ? AnswerKind::received : AnswerKind::filtered;
  return form;
}

LogLineSource::Form LogLineSource::make_malformed(std::size_t number, std::string_view date) {
  Form form = make_form(date);
  switch (number % 4) {
    case 0:  // cut
      form.bytes.pop_back();
      form.answer = AnswerKind::invalid_json;
      break;
    case 1:  // no UTF-8
      form.bytes.insert(form.bytes.find("\"message\":\"") + 11, "\xc3(");
      form.answer = AnswerKind::invalid_json;
      break;
    case 2:
      form.bytes.replace(form.bytes.find("\"level\""), 7, "\"Level\"");
      form.answer = AnswerKind::missing_fields;
      break;
    default:
      form.bytes = "[" + form.bytes + "]";
      ++form.identifier_at;
      form.answer = AnswerKind::not_an_object;
      break;
  }
  return form;
}

std::string_view LogLineSource::end_of_line() {
  switch (options_.separator) {
    case Separator::none:
    case Separator::lf:
      break;
    case Separator::crlf:
      return "\r\n";
    case Separator::mixed: {
      constexpr std::array<std::string_view, 5> kMixed = {"\n", "\r\n", " \t\n", "\n\n", "\r\n \n"};
      return kMixed.at(random_.below(kMixed.size()));
    }
  }
  return "\n";
}

void LogLineSource::append(bool /*first_of_connection*/, std::string& buffer,
                           std::deque<RenderedEvent>& rendered) {
  const bool malformed = options_.malformed > 0 && random_.share() < options_.malformed;
  const std::vector<Form>& forms = malformed ? malformed_ : forms_;
  const Form& form = forms[random_.below(forms.size())];
  const std::uint64_t identifier = mix(next_identifier_++);
  const std::size_t begin = buffer.size();
  buffer += form.bytes;
  put_identifier(identifier, buffer.data() + begin + form.identifier_at);

  RenderedEvent& event = rendered.emplace_back();
  if (record_.is_open()) {
    event.note = record_.note_of_line(identifier, std::string_view(buffer).substr(begin));
  }
  const std::string_view end = end_of_line();
  event.end =
      buffer.size() + end.find('\n') + 1;  // it is answered before the blank lines behind it
  buffer += end;
  event.answer.kind = form.answer;
  event.answer.fixed = kReplies.at(static_cast<std::size_t>(form.answer));
}

}  // namespace sluice::load
