#include "common/rpc/answerer.h"

#include <google/protobuf/stubs/logging.h>
#include <messages.pb.h>

#include "common/base/check.h"
#include "common/base/units.h"
#include "common/rpc/request_header.h"

namespace sluice {
namespace {

constexpr std::size_t kKeptRequestBytes = 64 * kKiB;

bool parse(google::protobuf::MessageLite& message, std::span<const std::byte> bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::int32_t wrapping_sum(const messages::AddRequest& add) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(add.a()) +
                                   static_cast<std::uint32_t>(add.b()));
}

// libprotobuf writes to stderr whatever it refuses; the refusal is in our log, with its peer.
void silence_libprotobuf() {
  static const bool silenced = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  CHECK_THAT(silenced);
}

}  // namespace

// A oneof frees its member when the other takes its place, hence an answer of each kind.
struct Answerer::Messages {
  messages::EchoMessage echo;
  messages::AddRequest add;
  messages::ServerMessage echo_answer;
  messages::ServerMessage add_answer;
  messages::ClientMessage any;
};

Answerer::Answerer() : messages_(std::make_unique<Messages>()) { silence_libprotobuf(); }

Answerer::~Answerer() = default;

Status Answerer::answer(std::span<const std::byte> request, std::string& answers) {
  Status status = read_and_answer(request, answers);
  if (request.size() > kKeptRequestBytes) {
    messages_ = std::make_unique<Messages>();
  }
  return status;
}

Status Answerer::read_and_answer(std::span<const std::byte> request, std::string& answers) {
  messages::EchoMessage& echo = messages_->echo;
  messages::AddRequest& add = messages_->add;
  // Nearly always the message is its one member and nothing else.
  const RequestHeader header = read_request_header(request);
  std::uint32_t tag = header.tag;
  if (header.state == RequestHeader::State::whole &&
      header.header_bytes + std::uint64_t{header.body_bytes} == request.size()) {
    const auto member = request.subspan(header.header_bytes);
    if (!(tag == kEchoTag ? parse(echo, member) : parse(add, member))) {
      return rejected(tag == kEchoTag ? "the echo request cannot be read, or its text is no UTF-8"
                                      : "the add request cannot be read");
    }
  } else {
    messages::ClientMessage& any = messages_->any;
    if (!parse(any, request)) {
      return rejected("the message cannot be read, or a text in it is no UTF-8");
    }
    if (any.has_echo_message()) {
      echo.Swap(any.mutable_echo_message());
      tag = kEchoTag;
    } else if (any.has_add_request()) {
      add.Swap(any.mutable_add_request());
      tag = kAddTag;
    } else {
      return rejected("the message holds neither an echo nor an add request");
    }
  }
  if (tag == kEchoTag) {
    // The text and nothing else: unknown fields stay behind.
    messages_->echo_answer.mutable_echo_message()->mutable_content()->swap(*echo.mutable_content());
    CHECK_THAT(messages_->echo_answer.AppendToString(&answers));
  } else {
    messages_->add_answer.mutable_add_response()->set_result(wrapping_sum(add));
    CHECK_THAT(messages_->add_answer.AppendToString(&answers));
  }
  return {};
}

}  // namespace sluice
