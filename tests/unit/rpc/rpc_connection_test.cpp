#include "common/rpc/rpc_connection.h"

#include <doctest/doctest.h>
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>

#include <limits>
#include <string>

#include "rpc_stream.h"

using namespace sluice;         // NOLINT
using namespace sluice::test;   // NOLINT
using namespace std::literals;  // NOLINT

namespace {

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) {
    all += part;
  }
  return all;
}

std::int32_t sum_in(std::string_view answer) {
  messages::ServerMessage message;
  REQUIRE(message.ParseFromArray(answer.data(), static_cast<int>(answer.size())));
  REQUIRE(message.has_add_response());
  return message.add_response().result();
}

std::string refusal_of(std::string_view stream, std::uint32_t message_bytes_max = 1000) {
  const Answered whole = answer(stream, message_bytes_max);
  const Answered bytewise = answer_bytewise(stream, message_bytes_max);
  CHECK(whole.answers.empty());
  CHECK(bytewise.answers.empty());
  CHECK(whole.refusal == bytewise.refusal);
  compare_with_libprotobuf(stream, message_bytes_max);
  return whole.refusal;
}

}  // namespace

TEST_CASE("an_echo_comes_back_as_it_went") {
  const Answered answered = answer(kEchoHi);
  CHECK(answered.answers == kEchoHi);
  CHECK(answered.refusal.empty());
  CHECK(answered.bytes_framing == 0);
  CHECK(answer("\x0a\x00"sv).answers == "\x0a\x00"sv);
}

TEST_CASE("an_add_is_answered_with_the_sum") {
  CHECK(answer(kAdd10And20).answers == kSum30);
  CHECK(add_request(10, 20) == kAdd10And20);
}

TEST_CASE("a_sum_of_zero_is_an_answer_without_a_number") {
  CHECK(answer(add_request(7, -7)).answers == "\x12\x00"sv);
  CHECK(answer("\x12\x00"sv).answers == "\x12\x00"sv);
}

TEST_CASE("sums_wrap") {
  constexpr auto kMost = std::numeric_limits<std::int32_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int32_t>::min();
  CHECK(sum_in(answer(add_request(kMost, 1)).answers) == kLeast);
  CHECK(sum_in(answer(add_request(kLeast, -1)).answers) == kMost);
  CHECK(sum_in(answer(add_request(kLeast, kLeast)).answers) == 0);
  CHECK(sum_in(answer(add_request(kMost, kLeast)).answers) == -1);
}

TEST_CASE("a_message_behind_a_length_is_answered_behind_a_length") {
  const auto echo = "\0\0\0\x06\x0a\x04\x0a\x02Hi"sv;
  CHECK(with_prefix(kEchoHi) == echo);
  CHECK(answer(echo).answers == echo);
  CHECK(answer("\0\0\0\x06\x12\x04\x08\x0a\x10\x14"sv).answers == "\0\0\0\x04\x12\x02\x08\x1e"sv);
}

TEST_CASE("both_forms_on_one_connection_are_answered_in_order_each_in_its_own") {
  const std::string stream =
      joined({kEchoHi, with_prefix(kAdd10And20), kAdd10And20, with_prefix(kEchoHi), kEchoHi});
  const std::string answers =
      joined({kEchoHi, with_prefix(kSum30), kSum30, with_prefix(kEchoHi), kEchoHi});
  CHECK(answer(stream).answers == answers);
  const Answered bytewise = answer_bytewise(stream);
  CHECK(bytewise.answers == answers);
  CHECK(bytewise.exchanges.size() == 5);
}

TEST_CASE("two_requests_in_one_read_are_two_and_one_in_two_reads_is_one") {
  const std::string two = joined({kEchoHi, kAdd10And20});
  CHECK(answer(two).answers == joined({kEchoHi, kSum30}));
  for (std::size_t cut = 1; cut < two.size(); ++cut) {
    CHECK(answer(two, std::vector<std::size_t>{cut, two.size()}).answers ==
          joined({kEchoHi, kSum30}));
  }
}

TEST_CASE("an_answer_leaves_with_the_last_byte_of_its_request") {
  Answerer answerer;
  RpcConnection connection(answerer, 1000);
  std::string answers;
  REQUIRE(connection.feed(as_bytes(kEchoHi.substr(0, 5)), answers).ok());
  CHECK(answers.empty());
  CHECK(connection.bytes_framing() == 5);
  CHECK(connection.messages() == 0);
  REQUIRE(connection.feed(as_bytes(kEchoHi.substr(5)), answers).ok());
  CHECK(answers == kEchoHi);
  CHECK(connection.bytes_framing() == 0);
  CHECK(connection.messages() == 1);
  CHECK(connection.bytes_answered() == kEchoHi.size());
}

TEST_CASE("long_echoes_come_back_whole") {
  for (const std::size_t bytes : {513UL, 70'000UL, 1'000'000UL, 16 * kMiB - 20}) {
    CAPTURE(bytes);
    const std::string echo = echo_request(std::string(bytes, 'x'));
    const std::string stream = joined({echo, with_prefix(echo), kAdd10And20});
    const std::string answers = joined({echo, with_prefix(echo), kSum30});
    CHECK(bool(answer(stream).answers == answers));
    std::vector<std::size_t> ends;
    for (std::size_t end = 0; end < stream.size();) {
      end = std::min(stream.size(), end + 100'003);
      ends.push_back(end);
    }
    CHECK(bool(answer(stream, ends).answers == answers));
  }
}

TEST_CASE("a_long_request_leaves_no_memory_behind") {
  Answerer answerer;
  RpcConnection connection(answerer, RpcConnection::kMessageBytesMax);
  const std::string echo = echo_request(std::string(8 * kMiB, 'x'));
  const auto used = [] {  // 0 under sanitizers
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const std::size_t before = used();
  for (const std::size_t cut : {std::size_t{0}, echo.size() / 2}) {
    std::string answers;
    REQUIRE(connection.feed(as_bytes(echo).first(cut), answers).ok());
    REQUIRE(connection.feed(as_bytes(echo).subspan(cut), answers).ok());
    CHECK(answers.size() == echo.size());
  }
  CHECK(used() < before + kMiB);
}

TEST_CASE("libprotobuf_says_nothing_on_stderr") {
  const Answerer answerer;
  CHECK(bool(google::protobuf::SetLogHandler(nullptr) == nullptr));  // what it was before
}

TEST_CASE("one_answerer_serves_many_connections_in_turns") {
  Answerer answerer;
  RpcConnection one(answerer, 1000);
  RpcConnection other(answerer, 1000);
  std::string answers_one;
  std::string answers_other;
  for (std::size_t i = 0; i < kEchoHi.size(); ++i) {
    REQUIRE(one.feed(as_bytes(kEchoHi.substr(i, 1)), answers_one).ok());
    REQUIRE(other.feed(as_bytes(kAdd10And20.substr(i, 1)), answers_other).ok());
  }
  CHECK(answers_one == kEchoHi);
  CHECK(answers_other == kSum30);
}

TEST_CASE("nothing_of_one_request_is_in_the_answer_to_the_next") {
  const std::string stream = joined({echo_request("secret"), "\x0a\x00"sv, add_request(5, 6),
                                     "\x12\x02\x08\x01"sv, with_prefix(kEchoHi)});
  CHECK(answer(stream).answers ==
        joined({echo_request("secret"), "\x0a\x00"sv, "\x12\x02\x08\x0b"sv, "\x12\x02\x08\x01"sv,
                with_prefix(kEchoHi)}));
}

TEST_CASE("varints_longer_than_need_be_are_read_as_libprotobuf_does") {
  CHECK(answer("\x8a\x00\x84\x80\x00\x0a\x02Hi"sv).answers == kEchoHi);
  CHECK(answer("\x0a\x85\x80\x00\x8a\x00\x02Hi"sv).answers == kEchoHi);
  CHECK(answer("\x92\x80\x80\x80\x70\x04\x08\x0a\x10\x14"sv).answers == kSum30);
  CHECK(refusal_of("\x8a\x80\x80\x80\x80\x00\x02Hi"sv) == "a tag of more than five bytes");
  CHECK(refusal_of("\x0a\x80\x80\x80\x80\x80\x00"sv) == "a length of 2 GiB or more");
  CHECK(refusal_of("\x0a\x84\x80\x80\x80\x10"sv) == "a length of 2 GiB or more");
}

TEST_CASE("fields_that_we_do_not_know_are_skipped_inside_a_message") {
  CHECK(answer("\x0a\x06\x0a\x02Hi\x18\x05"sv).answers == kEchoHi);
  CHECK(answer(with_prefix("\x18\x05\x0a\x04\x0a\x02Hi"sv)).answers == with_prefix(kEchoHi));
  // The last one counts.
  CHECK(answer(with_prefix(joined({kEchoHi, kAdd10And20}))).answers == with_prefix(kSum30));
}

TEST_CASE("a_message_that_is_too_long_is_refused_as_soon_as_its_length_is_there") {
  CHECK(answer(echo_request(std::string(94, 'x')), 98).refusal.empty());
  CHECK(refusal_of("\x0a\x61"sv, 98) == "a message of 99 bytes, more than the 98 allowed");
  CHECK(answer(with_prefix(echo_request(std::string(94, 'x'))), 98).refusal.empty());
  CHECK(refusal_of("\0\0\0\x63"sv, 98) == "a message of 99 bytes, more than the 98 allowed");
  CHECK(refusal_of("\0\xff\xff\xff"sv, 98) ==
        "a message of 16777215 bytes, more than the 98 allowed");
  CHECK(answer("\0\xff\xff\xff\x0a"sv).refusal.empty());
}

TEST_CASE("bytes_that_begin_no_request_are_refused_with_their_field_and_type") {
  CHECK(refusal_of("GET / HTTP/1.1\r\n"sv) == "field 8 of wire type 7 begins no request");
  CHECK(refusal_of("\x1a\x00"sv) == "field 3 of wire type 2 begins no request");
  CHECK(refusal_of("\x08\x01"sv) == "field 1 of wire type 0 begins no request");
  CHECK(refusal_of("\x14"sv) == "field 2 of wire type 4 begins no request");
  CHECK(refusal_of("\x80\x00"sv) == "field 0 of wire type 0 begins no request");
}

TEST_CASE("a_message_without_a_request_is_refused") {
  CHECK(refusal_of("\0\0\0\0"sv) == "an empty message");
  CHECK(refusal_of(with_prefix("\x18\x05"sv)) ==
        "the message holds neither an echo nor an add request");
}

TEST_CASE("what_libprotobuf_cannot_read_is_refused") {
  const auto echo = "the echo request cannot be read, or its text is no UTF-8"sv;
  CHECK(refusal_of("\x0a\x04\x0a\x02\xc3\x28"sv) == echo);  // no UTF-8
  CHECK(refusal_of("\x0a\x04\x0a\x09Hi"sv) == echo);        // a text longer than its message
  CHECK(refusal_of("\x0a\x02\x0a\x80"sv) == echo);
  CHECK(refusal_of("\x12\x02\x08\xff"sv) == "the add request cannot be read");
  CHECK(refusal_of("\x12\x01\x0c"sv) == "the add request cannot be read");
  CHECK(refusal_of(with_prefix("\x0a\x05\x0a\x02Hi"sv)) ==
        "the message cannot be read, or a text in it is no UTF-8");
}

TEST_CASE("requests_before_bad_bytes_are_answered_and_those_behind_are_not") {
  const std::string stream = joined({kEchoHi, kAdd10And20, "\xff\xff\xff\xff\xff"sv, kEchoHi});
  const Answered whole = answer(stream);
  CHECK(whole.answers == joined({kEchoHi, kSum30}));
  CHECK(whole.refusal == "a tag of more than five bytes");
  CHECK(whole.bytes_answered == 12);
  CHECK(answer_bytewise(stream).answers == whole.answers);
}

TEST_CASE("no_answer_is_longer_than_its_bound") {
  // Four of the five bytes of -1 as a varint of 32 bits, which libprotobuf takes for an int32.
  const auto worst = "\x12\x06\x08\xff\xff\xff\xff\x0f"sv;
  const std::string minus_one = answer(worst).answers;
  CHECK(sum_in(minus_one) == -1);
  CHECK(minus_one.size() == answer_bytes_max(worst.size()));
}
