// A document read by expat and mapped to JSON by the rules of xml_to_json.h: written anew from
// them, so that it shares nothing with the parser, the tape and the renderer that it is compared
// with.
#pragma once

#include <expat.h>
#include <iconv.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::test {

class ExpatReading {
 public:
  struct Options {
    const char* encoding = nullptr;  // overrides what is declared
    bool namespaces = false;         // only whether it is accepted; it makes no JSON
  };

  ExpatReading(std::string_view document, Options options) {
    using Parser = std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)>;
    const Parser parser(options.namespaces ? XML_ParserCreateNS(options.encoding, '\n')
                                           : XML_ParserCreate(options.encoding),
                        &XML_ParserFree);
    XML_SetUserData(parser.get(), this);
    XML_SetUnknownEncodingHandler(parser.get(), on_encoding, nullptr);
    if (!options.namespaces) {
      XML_SetElementHandler(parser.get(), on_start, on_end);
      XML_SetCharacterDataHandler(parser.get(), on_text);
    }
    accepted_ = XML_Parse(parser.get(), document.data(), static_cast<int>(document.size()), 1) ==
                XML_STATUS_OK;
    error_ = XML_GetErrorCode(parser.get());
  }

  [[nodiscard]] bool accepted() const { return accepted_; }
  [[nodiscard]] XML_Error error() const { return error_; }
  [[nodiscard]] std::size_t depth() const { return depth_max_; }
  [[nodiscard]] const nlohmann::ordered_json& json() const { return json_; }

 private:
  using Json = nlohmann::ordered_json;
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  struct Element {
    std::string name;
    Pairs declarations;  // of namespaces
    Pairs attributes;
    std::string text;
    std::vector<std::pair<std::string, std::vector<Json>>> children;  // by name, as they came
    std::map<std::string, std::size_t> places;                        // among the children
  };

  static void on_start(void* user, const XML_Char* name, const XML_Char** attributes) {
    ExpatReading& self = *static_cast<ExpatReading*>(user);
    Element element;
    element.name = name;
    for (; *attributes != nullptr; attributes += 2) {
      const std::string attribute = attributes[0];
      const bool declares = attribute == "xmlns" || attribute.rfind("xmlns:", 0) == 0;
      (declares ? element.declarations : element.attributes).emplace_back(attribute, attributes[1]);
    }
    self.open_.push_back(std::move(element));
    self.depth_max_ = std::max(self.depth_max_, self.open_.size());
  }

  static void on_text(void* user, const XML_Char* text, int bytes) {
    ExpatReading& self = *static_cast<ExpatReading*>(user);
    self.open_.back().text.append(text, static_cast<std::size_t>(bytes));
  }

  static void on_end(void* user, const XML_Char* /*name*/) {
    ExpatReading& self = *static_cast<ExpatReading*>(user);
    Element element = std::move(self.open_.back());
    self.open_.pop_back();
    const bool root = self.open_.empty();
    Json value = value_of(std::move(element), root && element.name == "EVENT");
    if (root) {
      self.json_ = element.name == "EVENT" ? std::move(value) : Json{{element.name, value}};
      return;
    }
    Element& parent = self.open_.back();
    const auto [place, is_new] = parent.places.emplace(element.name, parent.children.size());
    if (is_new) {
      parent.children.emplace_back(element.name, std::vector<Json>());
    }
    parent.children[place->second].second.push_back(std::move(value));
  }

  // An event is an object, whatever it holds.
  static Json value_of(Element&& element, bool event) {
    constexpr const char* kSpace = " \t\r\n";
    const std::size_t first = element.text.find_first_not_of(kSpace);
    const std::string text =
        first == std::string::npos
            ? std::string()
            : element.text.substr(first, element.text.find_last_not_of(kSpace) - first + 1);
    if (!event && element.declarations.empty() && element.attributes.empty() &&
        element.children.empty()) {
      return text;
    }
    // As a list: an ordered_json looks for each new key among all of it.
    Json::object_t object;
    const auto add = [&object](std::string name, Json value) {
      object.Container::emplace_back(std::move(name), std::move(value));
    };
    for (const Pairs* pairs : {&element.declarations, &element.attributes}) {
      for (const auto& [name, value] : *pairs) {
        add("@" + name, value);
      }
    }
    for (auto& [name, values] : element.children) {
      add(name, values.size() == 1 ? std::move(values[0]) : Json(std::move(values)));
    }
    if (!text.empty()) {
      add("#text", text);
    }
    return object;
  }

  // Encodings that expat does not know: one byte a character, as iconv has it.
  static int on_encoding(void* /*context*/, const XML_Char* name, XML_Encoding* encoding) {
    // NOLINTNEXTLINE(misc-misplaced-const): the handle itself is what stays
    const iconv_t converter = iconv_open("UTF-32LE", name);
    if (converter == reinterpret_cast<iconv_t>(-1)) {  // NOLINT(performance-no-int-to-ptr)
      return XML_STATUS_ERROR;
    }
    for (int value = 0; value < 256; ++value) {
      char byte = static_cast<char>(value);
      char* in = &byte;
      std::size_t in_left = 1;
      std::array<unsigned char, 16> code{};
      char* out = reinterpret_cast<char*>(code.data());
      std::size_t out_left = code.size();
      iconv(converter, nullptr, nullptr, nullptr, nullptr);
      const bool one = iconv(converter, &in, &in_left, &out, &out_left) == 0 &&
                       iconv(converter, nullptr, nullptr, &out, &out_left) == 0 &&
                       code.size() - out_left == 4;
      encoding->map[value] = one ? code[0] | code[1] << 8 | code[2] << 16 : -1;
    }
    iconv_close(converter);
    encoding->data = nullptr;
    encoding->convert = nullptr;
    encoding->release = nullptr;
    return XML_STATUS_OK;
  }

  std::vector<Element> open_;
  std::size_t depth_max_ = 0;
  nlohmann::ordered_json json_;
  bool accepted_ = false;
  XML_Error error_ = XML_ERROR_NONE;
};

}  // namespace sluice::test
