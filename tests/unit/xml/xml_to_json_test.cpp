#include "common/xml/xml_to_json.h"

#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/xml/xml_parser.h"

using namespace sluice;         // NOLINT
using namespace std::literals;  // NOLINT
using Json = nlohmann::ordered_json;

namespace {

std::string to_json(const std::string& document, const JsonStyle& style = {}) {
  static XmlParser parser;
  static XmlToJson converter;
  EventTape tape;
  parser.begin_tape();
  std::string source = document + '\0';
  const auto refused =
      parser.parse(source, {0, static_cast<std::uint32_t>(document.size()), true}, tape);
  if (refused) {
    return "refused: " + refused->reason;
  }
  std::string out;
  converter.append(tape, 0, source, style, out);
  return out;
}

// Throws on a key that occurs twice, which nlohmann's parser would let pass.
Json parse_strictly(const std::string& text) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&keys](int /*depth*/, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      if (!keys.back().insert(parsed.get<std::string>()).second) {
        throw std::runtime_error("a key twice");
      }
    }
    return true;
  };
  return Json::parse(text, watch);
}

// A random element tree, its XML and, by xmltodict's way of building dictionaries, its JSON.
struct Element {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<Element> children;
  std::vector<std::string> texts;  // texts[i] stands before children[i]; one more at the end

  std::string xml(std::mt19937_64& random) const {
    std::string out = "<" + name;
    for (const auto& [key, value] : attributes) {
      out += " " + key + "='" + escaped(value, random, true) + "'";
    }
    out += ">";
    for (std::size_t i = 0; i < children.size(); ++i) {
      out += escaped(texts[i], random, false) + children[i].xml(random);
    }
    return out + escaped(texts.back(), random, false) + "</" + name + ">";
  }

  static std::string escaped(const std::string& text, std::mt19937_64& random, bool attribute) {
    std::string out;
    for (const char c : text) {
      if (c == '<' || c == '&' || c == '\'' || c == '>' ||
          (attribute && static_cast<unsigned char>(c) < 0x20) || c == '\r' ||
          (static_cast<unsigned char>(c) < 0x80 && random() % 8 == 0)) {
        out += "&#" + std::to_string(static_cast<int>(c)) + ";";
      } else if (!attribute && static_cast<unsigned char>(c) < 0x80 && random() % 8 == 0) {
        out += "<![CDATA["s + c + "]]>";
      } else {
        out += c;
      }
    }
    if (!attribute && random() % 4 == 0) {
      out += "<!-- x --><?y z?>";
    }
    return out;
  }

  Json value(bool object) const {
    std::string text;
    for (const std::string& part : texts) {
      text += part;
    }
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    text = begin == std::string::npos
               ? ""
               : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
    if (!object && attributes.empty() && children.empty()) {
      return text;
    }
    Json out = Json::object();
    for (const auto& [key, attribute] : attributes) {
      out["@" + key] = attribute;
    }
    for (const Element& child : children) {
      if (!out.contains(child.name)) {
        out[child.name] = child.value(false);
      } else if (seen_once(child)) {
        out[child.name] = Json::array({out[child.name], child.value(false)});
      } else {
        out[child.name].push_back(child.value(false));
      }
    }
    if (!text.empty()) {
      out["#text"] = text;
    }
    return out;
  }

  // `child` is the second of its name.
  bool seen_once(const Element& child) const {
    int before = 0;
    for (const Element& other : children) {
      if (&other == &child) {
        break;
      }
      before += other.name == child.name ? 1 : 0;
    }
    return before == 1;
  }

  Json json() const {
    if (name == "EVENT") {
      return value(true);
    }
    Json out = Json::object();
    out[name] = value(false);
    return out;
  }
};

std::string random_text(std::mt19937_64& random) {
  static const std::vector<std::string> kParts = {"a",
                                                  " ",
                                                  "\n",
                                                  "\t",
                                                  "\"",
                                                  "\\",
                                                  "<",
                                                  "&",
                                                  "\xC3\xA9",
                                                  "'",
                                                  "1",
                                                  "/",
                                                  "\xE2\x82\xAC",
                                                  "\xF0\x9F\x9A\xAA",
                                                  "\r",
                                                  "long enough for a whole register",
                                                  "\x7F",
                                                  "#"};
  std::string text;
  for (std::size_t i = random() % 5; i > 0; --i) {
    text += kParts[random() % kParts.size()];
  }
  return text;
}

Element random_element(std::mt19937_64& random, int depth) {
  static const std::vector<std::string> kNames = {"EVENT", "a", "b", "c-d", "\xC3\xA9", "e.f"};
  Element element;
  element.name = kNames[random() % kNames.size()];
  for (const char* key : {"x", "y"}) {
    if (random() % 5 == 0) {
      element.attributes.emplace_back(key, random_text(random));
    }
  }
  const std::size_t children = depth == 0 ? 0 : random() % 5;
  for (std::size_t i = 0; i < children; ++i) {
    element.texts.push_back(random_text(random));
    element.children.push_back(random_element(random, depth - 1));
  }
  element.texts.push_back(random_text(random));
  return element;
}

}  // namespace

TEST_CASE("mapping_by_example") {
  CHECK(to_json("<EVENT><a>1</a><b/><c> x </c></EVENT>") == R"({"a":"1","b":"","c":"x"})");
  CHECK(to_json("<EVENT>\n<a> 750</a>\n<b></b>\n</EVENT>") == R"({"a":"750","b":""})");
  CHECK(to_json("<EVENT><a>1</a><b>2</b><a>3</a></EVENT>") == R"({"a":["1","3"],"b":"2"})");
  CHECK(to_json("<EVENT><a><b>1</b></a></EVENT>") == R"({"a":{"b":"1"}})");
  CHECK(to_json("<EVENT><a x='1'>t</a></EVENT>") == R"({"a":{"@x":"1","#text":"t"}})");
  CHECK(to_json("<EVENT><a x='1'/></EVENT>") == R"({"a":{"@x":"1"}})");
  CHECK(to_json("<EVENT>t<b/>u</EVENT>") == R"({"b":"","#text":"tu"})");
  CHECK(to_json("<EVENT>a <b/> c</EVENT>") == R"({"b":"","#text":"a  c"})");
  CHECK(to_json("<EVENT/>") == "{}");
  CHECK(to_json("<EVENT>x</EVENT>") == R"({"#text":"x"})");
  CHECK(to_json("<ACK><id>7</id></ACK>") == R"({"ACK":{"id":"7"}})");
  CHECK(to_json("<ACK/>") == R"({"ACK":""})");
  CHECK(to_json("<p:EVENT xmlns:p='u' xmlns='v' p:a='1'><p:b/></p:EVENT>") ==
        R"({"p:EVENT":{"@xmlns:p":"u","@xmlns":"v","@p:a":"1","p:b":""}})");
  CHECK(to_json("<EVENT><a>007</a><b>1e5</b><c>null</c></EVENT>") ==
        R"({"a":"007","b":"1e5","c":"null"})");
  CHECK(to_json("<EVENT><a><b/><a/></a><b/><a/></EVENT>") ==
        R"({"a":[{"b":"","a":""},""],"b":""})");
}

TEST_CASE("x13_values_are_escaped") {
  CHECK(to_json("<EVENT><a>\"\\/&#9;&#10;&#13;x</a></EVENT>") == "{\"a\":\"\\\"\\\\/\\t\\n\\rx\"}");
  CHECK(to_json("<EVENT a='&quot;&#10;'/>") == R"({"@a":"\"\n"})");
  CHECK(to_json("<EVENT>\xE2\x80\xA8\x7F</EVENT>") == "{\"#text\":\"\xE2\x80\xA8\x7F\"}");
}

TEST_CASE("pretty_is_indented_by_two_spaces_and_no_deeper_than_eight_levels") {
  CHECK(to_json("<EVENT><a>1</a><b x='2'><c/><c/></b></EVENT>", {true, 1}) ==
        "  {\n"
        "    \"a\": \"1\",\n"
        "    \"b\": {\n"
        "      \"@x\": \"2\",\n"
        "      \"c\": [\n"
        "        \"\",\n"
        "        \"\"\n"
        "      ]\n"
        "    }\n"
        "  }");
  CHECK(to_json("<EVENT/>", {true, 0}) == "{}");
  CHECK(to_json("<A>x</A>", {true, 0}) == "{\n  \"A\": \"x\"\n}");
  std::string deep;
  for (int i = 0; i < 100; ++i) {
    deep += "<a>";
  }
  std::string end;
  for (int i = 0; i < 100; ++i) {
    end += "</a>";
  }
  const std::string json = to_json(deep + end, {true, 0});
  CHECK(json.find("\n" + std::string(16, ' ') + "\"a\"") != std::string::npos);
  CHECK(json.find(std::string(17, ' ')) == std::string::npos);
  CHECK_NOTHROW(parse_strictly(json));
}

TEST_CASE("x13_random_events_are_what_an_independent_conversion_says") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 5000; ++round) {
    const Element element = random_element(random, 4);
    const std::string xml = element.xml(random);
    const std::string json = to_json(xml);
    const std::string expected = element.json().dump();
    if (json != expected) {
      CAPTURE(xml);
      CHECK(json == expected);
      break;
    }
    CHECK(parse_strictly(json).dump() == expected);
    CHECK(parse_strictly(to_json(xml, {true, 1})).dump() == expected);
  }
}
