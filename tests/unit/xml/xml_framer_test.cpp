#include "common/xml/xml_framer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "framing.h"

using namespace sluice;         // NOLINT
using namespace std::literals;  // NOLINT

namespace {

using Lines = std::vector<std::string>;

// What the whole text gives; and that every way to cut it once gives the same.
Lines framed(const std::string& text, const FramerLimits& limits = {}) {
  const test::Framed whole = test::frame(text, limits);
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    const test::Framed parts = test::frame(text, {cut, text.size()}, limits);
    if (parts.cuts != whole.cuts) {
      CAPTURE(text);
      CAPTURE(cut);
      CHECK(test::describe(text, parts.cuts) == test::describe(text, whole.cuts));
      break;
    }
  }
  std::vector<std::size_t> bytes;
  for (std::size_t end = 1; end <= text.size(); ++end) {
    bytes.push_back(end);
  }
  CHECK(test::describe(text, test::frame(text, bytes, limits).cuts) ==
        test::describe(text, whole.cuts));
  return test::describe(text, whole.cuts);
}

const std::string kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

}  // namespace

TEST_CASE("x1_tricky_documents_are_exactly_one_document") {
  for (const std::string& text : {
           "<EVENT><a>1</a></EVENT>"s,
           "<EVENT><!-- </EVENT> --></EVENT>"s,
           "<EVENT><![CDATA[</EVENT>]]></EVENT>"s,
           "<EVENT><![CDATA[x]]]></EVENT>"s,
           "<EVENT><![CDATA[x]]]]></EVENT>"s,
           "<EVENT><![CDATA[]]>]]</EVENT>"s,
           "<EVENT><?pi </EVENT> ?></EVENT>"s,
           "<EVENT><?pi ?"
           "?></EVENT>"s,
           "<EVENT><?pi < <? ?></EVENT>"s,
           "<EVENT><?pi <?></EVENT>"s,
           "<EVENT a=\"</EVENT>\" b='>' c='/>'></EVENT>"s,
           "<EVENT a='\"' b=\"'\"/>"s,
           "<EVENT/>"s,
           "<EVENT />"s,
           "<EVENT\n/>"s,
           "<EVENT></EVENT \n>"s,
           "<EVENT><EVENT><EVENT/></EVENT></EVENT>"s,
           "<p:EVENT xmlns:p='u'><p:a/></p:EVENT>"s,
           "<\xC3\x89V\xC3\x89NEMENT><a-b.c/></\xC3\x89V\xC3\x89NEMENT>"s,
           "<a><b><a></a></b></a>"s,
           "<EVENT>a < b &lt; <3 <= </EVENT>"s,
           "<EVENT><!-- <?xml version=\"1.0\"?> --></EVENT>"s,
           "<EVENT><![CDATA[<?xml version=\"1.0\"?><x>]]></EVENT>"s,
           "<EVENT><!-- a -- b --></EVENT>"s,
           "<EVENT><!----></EVENT>"s,
           "<EVENT><!-----></EVENT>"s,
           "<EVENT><!-->--></EVENT>"s,
           "<EVENT><!x></EVENT>"s,
           kDeclaration + "<!-- c --><?pi?><EVENT/>",
           kDeclaration +
               "\n<!DOCTYPE EVENT [<!ENTITY a \"]>\"><!-- ]> ' --><?pi ]> ?>]>\n<EVENT/>",
           "<!DOCTYPE EVENT SYSTEM '>'><EVENT/>"s,
       }) {
    CAPTURE(text);
    CHECK(framed(text) == Lines{"E:" + text});
    // Its neighbours do not matter.
    CHECK(framed("<a/>" + text + "<b/>") == Lines{"E:<a/>", "E:" + text, "E:<b/>"});
    // NOLINTNEXTLINE(performance-inefficient-string-concatenation): a few short texts
    CHECK(framed(text + "\n" + kDeclaration + "<b/>" + text) ==
          Lines{"E:" + text, "E:" + kDeclaration + "<b/>", "E:" + text});
  }
}

TEST_CASE("x2_byte_order_mark_between_documents_is_a_separator") {
  CHECK(framed("\xEF\xBB\xBF<a/>\xEF\xBB\xBF" + kDeclaration + "<b>\xEF\xBB\xBF</b>") ==
        Lines{"E:<a/>", "E:" + kDeclaration + "<b>\xEF\xBB\xBF</b>"});
}

TEST_CASE("x3_unsupported_encodings_are_malformed_runs") {
  const std::string little("<\0a\0/\0>\0", 8);
  const std::string big("\0<\0a\0/\0>", 8);
  CHECK(framed("\xFF\xFE" + little) == Lines{"M11:\xFF\xFE" + little});
  CHECK(framed("\xFE\xFF" + big) == Lines{"M11:\xFE\xFF" + big});
  CHECK(framed(little) == Lines{"M11:" + little});
  CHECK(framed(big) == Lines{"M11:" + big.substr(1)});
  CHECK(framed("\x4C\x6F\xA7\x94\x93\x40") == Lines{"M11:\x4C\x6F\xA7\x94\x93\x40"});
  for (const char* name : {"UTF-16", "utf-7", "ISO-2022-JP", "Shift_JIS", "GBK", "Big5", "EUC-JP",
                           "UTF-32", "IBM037", "nonsense"}) {
    const std::string text = "<?xml version='1.0' encoding='"s + name + "'?><a>1</a>";
    CHECK(framed(text + "<b/>") == Lines{"M11:" + text, "E:<b/>"});
  }
}

TEST_CASE("x4_single_byte_encodings_are_documents") {
  for (const char* name : {"ISO-8859-1", "iso-8859-15", "windows-1252", "Windows-1250", "US-ASCII",
                           "utf-8", "UTF8", "latin1", "KOI8-R"}) {
    const std::string text = "<?xml version='1.0' encoding = '"s + name + "' ?><a>\xE9</a>";
    CHECK(framed(text) == Lines{"E:" + text});
  }
}

TEST_CASE("x6_a_broken_document_costs_only_itself_where_the_next_has_a_declaration") {
  const std::string good = kDeclaration + "<EVENT><a>1</a></EVENT>";
  for (const std::string& broken : {
           "<EVENT><a>1</a>"s,
           "<EVENT><a>1"s,
           "<EVENT><!-- never closed "s,
           "<EVENT><![CDATA[ never closed "s,
           "<EVENT a=\"never closed>"s,
           "<EVENT a='1' "s,
           "<EVENT"s,
           "<EVENT><?pi never closed "s,
           "<!DOCTYPE EVENT ["s,
           "<!DOCTYPE EVENT [<!ENTITY a '"s,
           "<!-- never closed "s,
           "<?pi never closed "s,
           kDeclaration + "<EVENT>",
           kDeclaration + "junk",
           kDeclaration + "</EVENT>",
           "<?xml version="s,
           "</EVENT>"s,
           "<!x"s,
           "<EVENT><EVENT></EVENT>"s,
       }) {
    CAPTURE(broken);
    const std::string first = "<EVENT/>";
    for (const std::size_t neighbours : {1U, 2U, 3U}) {
      const Lines lines = framed(first + broken + repeated(good, neighbours));
      REQUIRE(lines.size() == 2 + neighbours);
      CHECK(lines[0] == "E:" + first);
      CHECK(lines[1].substr(0, 1) == "M");
      CHECK(lines[1].substr(lines[1].find(':') + 1) == broken);
      CHECK(lines.back() == "E:" + good);
    }
  }
}

TEST_CASE("x6_an_unclosed_comment_ends_at_the_declaration_before_a_neighbours_comment") {
  const std::string good = kDeclaration + "<EVENT><!-- fine --></EVENT>";
  CHECK(framed("<EVENT><!-- open " + good + good) ==
        Lines{"M3:<EVENT><!-- open ", "E:" + good, "E:" + good});
}

TEST_CASE("x6_without_declarations_the_next_root_of_a_known_name_goes_on") {
  const std::string good = "<EVENT><a>1</a></EVENT>";
  CHECK(framed("<EVENT><a>1</EVENT>" + good) == Lines{"E:<EVENT><a>1</EVENT>", "E:" + good});
  CHECK(framed("<EVENT><a>1</a>" + good + good) ==
        Lines{"M3:<EVENT><a>1</a>", "E:" + good, "E:" + good});
  CHECK(framed("<EVENT><!-- open " + good + good) ==
        Lines{"M3:<EVENT><!-- open ", "E:" + good, "E:" + good});
  CHECK(framed("<EVENT><![CDATA[ open " + good) == Lines{"M3:<EVENT><![CDATA[ open ", "E:" + good});
  CHECK(framed("<EVENT a=\"open>" + good) == Lines{"M3:<EVENT a=\"open>", "E:" + good});
  CHECK(framed(good + "</EVENT>junk" + good) == Lines{"E:" + good, "M2:</EVENT>junk", "E:" + good});
  CHECK(framed(good + "junk" + good) == Lines{"E:" + good, "M1:junk", "E:" + good});
  // A name that only begins like a known one, and one in a comment, are no roots.
  CHECK(framed(good + "junk<EVENTS/><!--<EVENT>-->" + good) ==
        Lines{"E:" + good, "M1:junk<EVENTS/><!--<EVENT>-->", "E:" + good});
}

TEST_CASE("x7_what_the_parser_refuses_is_framed_as_one_event") {
  for (const std::string& text :
       {"<EVENT><a></b></EVENT>"s, "<EVENT></b></EVENT>"s, "<EVENT><a><b></a></EVENT>"s,
        "<EVENT a='1' a='2'/>"s, "<EVENT>&undefined;</EVENT>"s, "<EVENT a='<'/>"s,
        "<EVENT><a></EVENT>"s, "<EVENT></EVENT"s, "<EVENT><b <a></a></EVENT>"s,
        "<EVENT><EVENT><a></EVENT></EVENT>"s}) {
    CAPTURE(text);
    CHECK(framed(text + "<EVENT/>") == Lines{"E:" + text, "E:<EVENT/>"});
  }
}

TEST_CASE("x8_comments_and_pis_between_documents_are_separators") {
  CHECK(framed("<!-- a --><EVENT/><!-- b --><?pi c?>" + kDeclaration + "<EVENT/><?d?>") ==
        Lines{"E:<EVENT/>", "E:" + kDeclaration + "<EVENT/>"});
}

TEST_CASE("x8_two_declarations_are_one_document") {
  const std::string text = kDeclaration + "\n" + kDeclaration + "<EVENT/>";
  CHECK(framed(text + "<EVENT/>") == Lines{"E:" + text, "E:<EVENT/>"});
}

TEST_CASE("x9_a_document_with_a_doctype_is_framed_whole") {
  const std::string text =
      "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 "
      "\"&lol;&lol;<x>]>\">]><lolz>&lol2;</lolz>";
  CHECK(framed(text + "<EVENT/>") == Lines{"E:" + text, "E:<EVENT/>"});
}

TEST_CASE("x10_caps_are_exact") {
  FramerLimits limits;
  limits.attributes_max = 2;
  limits.depth_max = 3;
  limits.namespaces_max = 2;
  limits.name_bytes_max = 7;
  limits.value_bytes_max = 5;
  const auto one = [&limits](const std::string& text) {
    const Lines lines = framed(text + "<x/>", limits);
    REQUIRE(lines.size() == 2);
    CHECK(lines[1] == "E:<x/>");
    CHECK(lines[0].substr(lines[0].find(':') + 1) == text);
    return lines[0].substr(0, lines[0].find(':'));
  };
  CHECK(one("<a b='' c=''/>") == "E");
  CHECK(one("<a b='' c='' d=''/>") == "M6");
  CHECK(one("<a><b e='' c='' d=''></b></a>") == "M6");
  CHECK(one("<a><b><c></c></b></a>") == "E");
  CHECK(one("<a><b><c/></b></a>") == "E");
  CHECK(one("<a><b><c><d></d></c></b></a>") == "M7");
  CHECK(one("<a><b><c><d/></c></b></a>") == "M7");
  CHECK(one("<a><b><c>" + repeated("<d>", 500) + repeated("</d>", 500) + "</c></b></a>") == "M7");
  CHECK(one("<a xmlns='' xmlns:b=''/>") == "E");
  CHECK(one("<a xmlns=''><b xmlns=''/><b xmlns=''></b><b xmlns=''/></a>") == "E");
  CHECK(one("<a xmlns=''><b xmlns='' xmlns:c=''/></a>") == "M8");
  CHECK(one("<a xmlns=''><b xmlns=''><c xmlns=''></c></b></a>") == "M8");
  CHECK(one("<abcdefg/>") == "E");
  CHECK(one("<abcdefgh/>") == "M9");
  CHECK(one("<a><abcdefgh></abcdefgh></a>") == "M9");
  CHECK(one("<a abcdefg=''/>") == "E");
  CHECK(one("<a abcdefgh=''/>") == "M9");
  CHECK(one("<a b='12345'/>") == "E");
  CHECK(one("<a b='123456'/>") == "M10");
  CHECK(one("<a b='1<345'/>") == "E");
}

TEST_CASE("x10_default_caps_and_a_million_levels") {
  const std::string deep = repeated("<a>", 128) + repeated("</a>", 128);
  CHECK(test::describe(deep, test::frame(deep).cuts) == Lines{"E:" + deep});
  FramerLimits limits;
  limits.event_bytes_max = 100 * kMiB;
  const std::string million = repeated("<a>", 1000000) + repeated("</a>", 1000000);
  const auto cuts = test::frame(million + "<b/>", limits).cuts;
  REQUIRE(cuts.size() == 8);  // seven pieces of at most 1 MiB, and the next event
  CHECK(cuts[0].reason == CutReason::too_deep);
  CHECK(cuts[0].continues);
  CHECK(!cuts[6].continues);
  CHECK(cuts[7].kind == PieceKind::event);
}

TEST_CASE("x11_an_event_of_exactly_the_maximum_is_accepted_and_one_more_byte_is_not") {
  FramerLimits limits;
  limits.event_bytes_max = 40;
  limits.long_event_sample_bytes = 50;
  limits.malformed_piece_bytes_max = 50;
  const auto event = [](std::size_t bytes) {
    return "<EVENT>" + std::string(bytes - 15, 'x') + "</EVENT>";
  };
  CHECK(framed(event(40) + "<EVENT/>", limits) == Lines{"E:" + event(40), "E:<EVENT/>"});
  CHECK(framed(event(41) + "<EVENT/>", limits) == Lines{"M5:" + event(41), "E:<EVENT/>"});
  CHECK(framed(event(50) + "<EVENT/>", limits) == Lines{"M5:" + event(50), "E:<EVENT/>"});
  CHECK(framed(event(60) + "<EVENT/>", limits) ==
        Lines{"M5:" + event(60).substr(0, 50), "R:10", "E:<EVENT/>"});
  CHECK(framed("<a/>" + event(500) + kDeclaration + "<b/>", limits).size() == 4);
}

TEST_CASE("x11_an_endless_event_is_sampled_in_constant_memory") {
  XmlFramer framer({});
  std::vector<Cut> cuts;
  const std::string begin = "<EVENT><a>";
  framer.scan(as_bytes(begin), cuts);
  const std::string text(64UL * 1024, 'x');
  std::uint64_t refused = 0;
  std::uint64_t kept = 0;
  for (int i = 0; i < 16 * 1024; ++i) {  // 1 GiB
    const std::uint64_t end = framer.position() + text.size();
    while (framer.position() < end) {
      framer.scan(as_bytes(std::string_view(text).substr(0, end - framer.position())), cuts);
    }
    REQUIRE(end - framer.hold_from() <= kMiB + text.size());
    for (const Cut& cut : cuts) {
      (cut.refused ? refused : kept) += cut.length;
    }
    cuts.clear();
  }
  CHECK(kept == kMiB);
  CHECK(refused > 1000 * kMiB);
}

TEST_CASE("x11_a_malformed_run_goes_in_pieces_that_say_that_they_continue") {
  FramerLimits limits;
  limits.malformed_piece_bytes_max = 4;
  limits.event_bytes_max = 100;
  CHECK(framed("<a/>12345678901<a/>", limits) ==
        Lines{"E:<a/>", "M1:1234…", "M1:5678…", "M1:901", "E:<a/>"});
  CHECK(framed("<a/>12345678<a/>", limits) == Lines{"E:<a/>", "M1:1234…", "M1:5678", "E:<a/>"});
}

TEST_CASE("n4_a_partial_event_at_the_end_is_a_malformed_run") {
  const std::string text =
      kDeclaration + "<EVENT><a>1</a><b c='d'><!-- e --><![CDATA[f]]></b></EVENT>";
  for (std::size_t length = 1; length < text.size(); ++length) {
    const std::string partial = text.substr(0, length);
    CAPTURE(partial);
    const Lines lines = framed("<x/>" + partial);
    REQUIRE(lines.size() == 2);
    CHECK(lines[1] == "M4:" + partial);
  }
}

TEST_CASE("n10_what_is_no_xml_is_sampled_and_refused") {
  FramerLimits limits;
  limits.not_xml_sample_bytes = 16;
  for (const std::string& text :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n<EVENT/>"s, "SSH-2.0-OpenSSH_9.2\r\n"s,
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03 some more"s,
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"s, "<34>1 2003-10-11T22:14:15.003Z host app"s,
        "{\"level\":\"INFO\"} and more"s, "LONG text that is not EBCDIC"s,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello"s}) {
    CAPTURE(text);
    CHECK(test::frame(text, limits).refuses);
    CHECK(framed(text, limits) ==
          Lines{"M12:" + text.substr(0, 16), "R:" + std::to_string(text.size() - 16)});
  }
  CHECK(framed("GET /", limits) == Lines{"M12:GET /"});
  CHECK(!test::frame("<EVENT/>GET / HTTP/1.1").refuses);
}

TEST_CASE("n14_white_space_bom_and_nul_between_documents_are_separators") {
  const std::string separators("\r\n \t\0\xEF\xBB\xBF\n\0", 10);
  CHECK(framed(separators + "<a/>" + separators + kDeclaration + "<b/>" + separators) ==
        Lines{"E:<a/>", "E:" + kDeclaration + "<b/>"});
  CHECK(framed(separators).empty());
}
