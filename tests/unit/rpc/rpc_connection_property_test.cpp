// Random streams of good and bad messages in both forms: the answers and the refusal do not depend
// on how the stream arrives, and libprotobuf alone says the same of each message.
#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "rpc_stream.h"

using namespace sluice;         // NOLINT
using namespace sluice::test;   // NOLINT
using namespace std::literals;  // NOLINT

namespace {

std::mt19937_64 seeded() {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  return std::mt19937_64(seed);
}

// Of numbers the edges above all.
std::int32_t random_number(std::mt19937_64& random) {
  const auto bits = static_cast<std::int32_t>(random());
  return random() % 2 == 0 ? bits : bits >> (random() % 32);
}

std::string random_varint(std::mt19937_64& random) {
  std::string bytes;
  for (std::size_t more = random() % 6; more > 0; --more) {
    bytes += static_cast<char>(0x80U | (random() % 2 == 0 ? random() : 0xffU));
  }
  return bytes + static_cast<char>(random() & 0x7fU);
}

std::string random_request(std::mt19937_64& random) {
  switch (random() % 8) {
    case 0:
    case 1:
      return add_request(random_number(random), random_number(random));
    case 2: {  // an add of varints of any length
      const std::string numbers = "\x08" + random_varint(random) +
                                  (random() % 2 == 0 ? "\x10" + random_varint(random) : "");
      return "\x12" + std::string(1, static_cast<char>(numbers.size())) + numbers;
    }
    case 3:
      return echo_request("Gr\u00fc\u00dfe");
    default:
      return echo_request(std::string(random() % 300, static_cast<char>('a' + random() % 26)));
  }
}

std::string random_stream(std::mt19937_64& random, std::size_t requests, bool damaged) {
  std::string stream;
  for (std::size_t i = 0; i < requests; ++i) {
    std::string message = random_request(random);
    if (random() % 16 == 0) {
      message += random_request(random);
    }
    stream += random() % 2 == 0 ? message : with_prefix(message);
  }
  if (damaged && !stream.empty()) {
    stream[random() % stream.size()] = static_cast<char>(random());
  }
  return stream;
}

std::vector<std::size_t> random_ends(std::mt19937_64& random, std::size_t bytes) {
  const std::size_t part_bytes_max = 1 + random() % 400;
  std::vector<std::size_t> ends;
  for (std::size_t end = 0; end < bytes;) {
    end = std::min(bytes, end + 1 + random() % part_bytes_max);
    ends.push_back(end);
  }
  return ends;
}

}  // namespace

TEST_CASE("any_cut_of_any_stream_gives_the_same_answers") {
  std::mt19937_64 random = seeded();
  int differing = 0;
  std::uint64_t answered = 0;
  for (int round = 0; round < 4000 && differing == 0; ++round) {
    const std::string stream = random_stream(random, 1 + random() % 20, random() % 2 == 0);
    const auto message_bytes_max =
        static_cast<std::uint32_t>(random() % 4 == 0 ? 20 + random() % 300 : kMiB);
    const Answered whole = answer(stream, message_bytes_max);
    answered += whole.bytes_answered;
    for (int way = 0; way < 3; ++way) {
      const auto ends = random_ends(random, stream.size());
      const Answered parts = answer(stream, ends, message_bytes_max);
      if (parts.answers != whole.answers || parts.refusal != whole.refusal ||
          parts.bytes_answered != whole.bytes_answered ||
          parts.bytes_framing != whole.bytes_framing) {
        CAPTURE(round);
        CHECK(parts.answers == whole.answers);
        CHECK(parts.refusal == whole.refusal);
        ++differing;
      }
    }
  }
  CHECK(differing == 0);
  CHECK(answered > 0);
}

TEST_CASE("each_message_of_any_stream_is_answered_as_libprotobuf_alone_would") {
  std::mt19937_64 random = seeded();
  for (int round = 0; round < 2000; ++round) {
    const std::string stream = random_stream(random, 1 + random() % 10, random() % 2 == 0);
    const auto message_bytes_max =
        static_cast<std::uint32_t>(random() % 4 == 0 ? 20 + random() % 300 : kMiB);
    CAPTURE(round);
    CHECK_NOTHROW(compare_with_libprotobuf(stream, message_bytes_max));
  }
}

TEST_CASE("a_stream_of_good_requests_is_answered_to_its_end") {
  std::mt19937_64 random = seeded();
  for (int round = 0; round < 300; ++round) {
    std::string stream;
    std::string answers;
    for (std::size_t i = random() % 100; i > 0; --i) {
      const std::string request = random() % 2 == 0
                                      ? echo_request(std::string(random() % 2000, 'x'))
                                      : add_request(random_number(random), random_number(random));
      const bool prefixed = random() % 2 == 0;
      stream += prefixed ? with_prefix(request) : request;
      const std::string reply = answer_of_libprotobuf(request);
      answers += prefixed ? with_prefix(reply) : reply;
    }
    const Answered parts = answer(stream, random_ends(random, stream.size()));
    CHECK(parts.answers == answers);
    CHECK(parts.bytes_answered == stream.size());
  }
}
