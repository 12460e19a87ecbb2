// Random streams of tricky fragments: the cuts do not depend on how the stream arrives, a document
// with a declaration is never swallowed, and no byte is read more than a few times.
#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "framing.h"

using namespace sluice;  // NOLINT

namespace {

constexpr std::string_view kFragments[] = {"<EVENT>",
                                           "</EVENT>",
                                           "<EVENT/>",
                                           "<a>",
                                           "</a>",
                                           "<a b='c'>",
                                           "<b x=\"",
                                           "'",
                                           "\"",
                                           ">",
                                           "<",
                                           "<!--",
                                           "-->",
                                           "--",
                                           "<![CDATA[",
                                           "]]>",
                                           "]",
                                           "<?pi ",
                                           "?>",
                                           "<?",
                                           "<?xml ",
                                           "<?xml version=\"1.0\"?>",
                                           "<?xml version='1.0' encoding='UTF-16'?>",
                                           "<!DOCTYPE a [",
                                           "]>",
                                           "<!ENTITY a '",
                                           " ",
                                           "\n",
                                           "text",
                                           "=",
                                           "/",
                                           std::string_view("\0", 1),
                                           "\xEF\xBB\xBF",
                                           "\xFF\xFE",
                                           "<EVENT a='1'><a>2</a></EVENT>",
                                           "<EVENT><!-- </EVENT> --></EVENT>",
                                           "xmlns:a=''",
                                           "<EVENTS>",
                                           "x<y",
                                           "<-",
                                           "<a-"};

std::string random_stream(std::mt19937_64& random, std::size_t fragments) {
  std::uniform_int_distribution<std::size_t> pick(0, std::size(kFragments) - 1);
  std::string text = random() % 4 == 0 ? "" : "<EVENT/>";
  for (std::size_t i = 0; i < fragments; ++i) {
    text += kFragments[pick(random)];
  }
  return text;
}

FramerLimits random_limits(std::mt19937_64& random) {
  FramerLimits limits;
  if (random() % 2 == 0) {
    limits.event_bytes_max = 20 + random() % 100;
    limits.malformed_piece_bytes_max = static_cast<std::uint32_t>(10 + random() % 60);
    limits.long_event_sample_bytes = static_cast<std::uint32_t>(10 + random() % 60);
    limits.not_xml_sample_bytes = static_cast<std::uint32_t>(1 + random() % 30);
    limits.depth_max = static_cast<std::uint32_t>(1 + random() % 4);
    limits.attributes_max = 2;
    limits.name_bytes_max = 5;
    limits.value_bytes_max = 20;
  }
  return limits;
}

}  // namespace

TEST_CASE("n8_any_cut_of_any_stream_gives_the_same_pieces") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  int differing = 0;
  for (int round = 0; round < 20000 && differing == 0; ++round) {
    const std::string text = random_stream(random, 1 + random() % 40);
    const FramerLimits limits = random_limits(random);
    const test::Framed whole = test::frame(text, limits);
    for (int way = 0; way < 4; ++way) {
      std::vector<std::size_t> ends;
      for (std::size_t end = 0; end < text.size();) {
        end = std::min<std::size_t>(text.size(), end + 1 + random() % (way == 0 ? 1 : 30));
        ends.push_back(end);
      }
      const test::Framed parts = test::frame(text, ends, limits);
      if (parts.cuts != whole.cuts) {
        CAPTURE(text);
        CHECK(test::describe(text, parts.cuts) == test::describe(text, whole.cuts));
        ++differing;
      }
    }
  }
  CHECK(differing == 0);
}

TEST_CASE("x6_a_good_document_with_a_declaration_survives_any_broken_neighbour") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string good = "<?xml version='1.0' encoding='UTF-8'?><GOOD><a>1</a></GOOD>";
  int lost = 0;
  for (int round = 0; round < 20000 && lost == 0; ++round) {
    std::string text = random_stream(random, 1 + random() % 20);
    text += "<EVENT/>";  // not right behind a declaration
    const std::size_t at = text.size();
    text += good;
    const test::Framed framed = test::frame(text);
    bool found = framed.refuses;  // no XML at all: nothing behind it counts
    for (const Cut& cut : framed.cuts) {
      found = found || (cut.begin == at && cut.length == good.size() && !cut.refused &&
                        cut.kind == PieceKind::event);
    }
    if (!found) {
      CAPTURE(text);
      CHECK(found);
      ++lost;
    }
  }
  CHECK(lost == 0);
}

TEST_CASE("x12_hostile_streams_are_read_a_bounded_number_of_times") {
  FramerLimits limits;
  limits.event_bytes_max = kMiB;
  const std::string declared = "<?xml version='1.0'?>";
  for (const std::string& unit : {std::string("<!--"),
                                  declared + "<a><!--",
                                  declared + "<a><![CDATA[",
                                  declared + "<a><!-- -- ",
                                  declared + "<a><!-- - - - - - - - - - - -",
                                  declared + "<!--",
                                  std::string("<EVENT>"),
                                  std::string("<EVENT><!--"),
                                  std::string("<EVENT><![CDATA["),
                                  std::string("<EVENT a='"),
                                  std::string("<EVENT><a>"),
                                  declared + "<a b='",
                                  declared + "<?pi ",
                                  declared,
                                  declared + "<!DOCTYPE a [<!--",
                                  std::string("<?xml "),
                                  std::string("</EVENT>"),
                                  std::string("<EVENT><!-- -- "),
                                  std::string("<EVENT><EVENT/>"),
                                  "<EVENT>" + std::string(1000, 'x')}) {
    std::string text = "<EVENT/>";
    while (text.size() < 3 * kMiB / 2) {
      text += unit;
    }
    for (const std::string& end : {std::string(), std::string("-->"), std::string("]]>")}) {
      CAPTURE(unit);
      const std::string stream = text + end;
      std::vector<std::size_t> ends;
      for (std::size_t at = 0; at < stream.size();) {
        at = std::min<std::size_t>(stream.size(), at + 64 * kKiB);
        ends.push_back(at);
      }
      const auto begin = std::chrono::steady_clock::now();
      const test::Framed framed = test::frame(stream, ends, limits);
      CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
      CHECK(!framed.cuts.empty());
    }
  }
}
