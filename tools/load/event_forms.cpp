#include "event_forms.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

namespace sluice::load {
namespace {

constexpr std::size_t kFormsWellFormed = 512;
constexpr std::time_t kHour = 3600;
constexpr std::time_t kDay = 24 * kHour;
constexpr std::string_view kHole = "0123456789abcdef";
constexpr std::string_view kUnset = "19700101000000Z";

// Text as it stands in the document, and what it means.
struct Text {
  std::string raw;
  std::string meaning;
};

Text same(std::string text) { return {text, std::move(text)}; }
Text number(std::uint64_t value) { return {" " + std::to_string(value), std::to_string(value)}; }

struct Name {
  const char* raw;
  const char* meaning;
};
constexpr std::array kLastNames = {
    Name{"M&#252;ller &amp; S\u00f6hne", "M\u00fcller & S\u00f6hne"},
    Name{"O&apos;Brien", "O'Brien"},
    Name{"Garc\u00eda-L\u00f3pez", "Garc\u00eda-L\u00f3pez"},
    Name{"Stra\u00dfer &#x26; Co", "Stra\u00dfer & Co"},
    Name{"Smith", "Smith"},
    Name{"\u674e", "\u674e"},
    Name{"Wa&lt;l&gt;ker &quot;W&quot;", "Wa<l>ker \"W\""},
    Name{"N\u00fa\u00f1ez \U0001F511", "N\u00fa\u00f1ez \U0001F511"},
};
constexpr std::array kFirstNames = {Name{"J&#xFC;rgen", "J\u00fcrgen"}, Name{"Anna", "Anna"},
                                    Name{"Zo\u00eb", "Zo\u00eb"}, Name{"Jos&#233;", "Jos\u00e9"},
                                    Name{"William", "William"}};
constexpr std::array kPanels = {Name{"elevator test", "elevator test"},
                                Name{"Geb\u00e4ude 3 &amp; 4", "Geb\u00e4ude 3 & 4"},
                                Name{"HQ panel 12", "HQ panel 12"}};

template <std::size_t N>
Text pick(const std::array<Name, N>& names, Random& random) {
  const Name& name = names[random.below(N)];
  return {name.raw, name.meaning};
}

struct Kind {
  EventType type;
  const char* type_name;
  const char* event_name;
  std::uint64_t address;
  std::uint64_t priority;
};
constexpr std::array kKinds = {
    Kind{EventType::alarm, "Intrusion", "Input point in alarm", 5, 10},
    Kind{EventType::alarm, "Door held open", "Door held open", 12, 20},
    Kind{EventType::alarm, "Forced", "Forced door", 14, 5},
    Kind{EventType::access_granted, "Valid credential", "Local grant", 20, 100},
    Kind{EventType::access_granted, "Valid credential", "Access granted - door used", 21, 100},
    Kind{EventType::access_denied, "Invalid credential", "Deactivated card attempt", 31, 40},
    Kind{EventType::access_denied, "Invalid credential", "Unknown card", 33, 40},
};

const Kind& pick_kind(EventType type, Random& random) {
  for (;;) {
    const Kind& kind = kKinds[random.below(kKinds.size())];
    if (type == EventType::random || kind.type == type) {
      return kind;
    }
  }
}

// LDAP GeneralizedTime: UTC with Z, or local with an offset in hours.
std::string date(std::time_t at, int offset_hours, const char* zone) {
  at += offset_hours * kHour;
  std::tm parts{};
  ::gmtime_r(&at, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d%H%M%S", &parts);
  return std::string(text.data()) + zone;
}

class FormWriter {
 public:
  explicit FormWriter(bool lines) : newline_(lines ? "\n" : "") {
    form_.bytes = std::string("<EVENT>") + newline_;
  }
  void add(std::string_view name, const Text& text) {
    form_.bytes.append("<").append(name).append(">");
    if (name == "cn") {
      form_.identifier_at = form_.bytes.size();
      form_.values_identifier_at = form_.values.size() + name.size() + 1;
    }
    form_.bytes.append(text.raw).append("</").append(name).append(">").append(newline_);
    form_.values.append(name).append("=").append(text.meaning).append("\n");
  }
  EventForm finish() {
    form_.bytes += "</EVENT>";
    return std::move(form_);
  }

 private:
  const char* newline_;
  EventForm form_;
};

struct Badge {
  Text operator_name, message, identity, card, embossed, last, first, middle, level, expires,
      activated, issued;
};

Badge make_badge(const Kind& kind, Random& random, std::time_t now) {
  Badge badge;
  badge.card = number(0);
  badge.level = {" -1", "-1"};
  badge.expires = badge.activated = badge.issued = same(std::string(kUnset));
  if (kind.type == EventType::alarm) {
    return badge;
  }
  const std::uint64_t card = 10000 + random.below(90000);
  badge.message = {"Karte gepr\u00fcft: &lt;ok&gt; ", "Karte gepr\u00fcft: <ok>"};
  badge.identity = same("cn=" + std::to_string(random.next()) + ",ou=identities,dc=plasec");
  badge.card = number(card);
  badge.embossed = same(std::to_string(card));
  badge.last = pick(kLastNames, random);
  badge.first = pick(kFirstNames, random);
  badge.middle = same("B");
  badge.level = number(random.below(4));
  badge.expires = same(date(now + 365 * kDay, 0, "Z"));
  badge.activated = same(date(now - 30 * kDay, 0, "Z"));
  badge.issued = same(date(now - 31 * kDay, 0, "Z"));
  return badge;
}

EventForm make_form(EventType type, Random& random, std::time_t now) {
  const Kind& kind = pick_kind(type, random);
  const Badge badge = make_badge(kind, random, now);
  const bool alarm = kind.type == EventType::alarm;
  const std::string gateway = "cn=544de4aa06914073,ou=gateways,dc=plasec";
  const std::uint64_t point = 100 + random.below(900);
  const std::uint64_t panel = random.below(40);
  const std::time_t recorded = now - static_cast<std::time_t>(random.below(kHour));

  FormWriter writer(random.below(4) != 0);
  writer.add("plasectrxGatewayDN", same(gateway));
  writer.add("cn", same(std::string(kHole)));
  writer.add("plasectrxRecdate", same(date(recorded, -7, "-0700")));
  writer.add("plasectrxPaneldate", same(date(recorded, -4, "-0400")));
  writer.add("plasectrxRecdateUTC", same(date(recorded, 0, "Z")));
  writer.add("plasectrxPaneldateUTC", same(date(recorded, 0, "Z")));
  writer.add("plasectrxLastacc", same(std::string(kUnset)));
  writer.add("plasectrxEvtypename", same(kind.type_name));
  writer.add("plasectrxBackgroundColor", same(alarm ? "#ff0000" : ""));
  writer.add("plasectrxForegroundColor", same(alarm ? "#ffffff" : ""));
  writer.add("plasectrxAckBackgroundColor", same(""));
  writer.add("plasectrxAckForegroundColor", same(""));
  writer.add("plasectrxEventname", same(kind.event_name));
  writer.add("plasectrxPanelname", pick(kPanels, random));
  writer.add("plasectrxSourcename",
             same("Input on subpanel 0 Address " + std::to_string(random.below(64))));
  writer.add("plasectrxSourcelocation", alarm ? same("") : pick(kPanels, random));
  writer.add("plasectrxSourcealtname", same(""));
  writer.add("plasectrxPointaddress", number(point));
  writer.add("plasectrxPointDN", same("cn=" + std::to_string(point) + ",ou=points,dc=plasec"));
  writer.add("plasectrxEvtypeaddress", number(kind.address));
  writer.add("plasectrxSourceDN",
             same("cn=100,cn=0,cn=" + std::to_string(panel) + ",ou=panels," + gateway));
  writer.add("plasectrxSourcetype", same("40"));
  writer.add("plasectrxOperatorname", badge.operator_name);
  writer.add("plasectrxPri", same(std::to_string(kind.priority)));
  writer.add("plasectrxMsg", badge.message);
  writer.add("plasectrxIdentityDN", badge.identity);
  writer.add("plasectrxCardno", badge.card);
  writer.add("plasectrxEmbossedno", badge.embossed);
  writer.add("plasectrxLname", badge.last);
  writer.add("plasectrxFname", badge.first);
  writer.add("plasectrxMi", badge.middle);
  writer.add("plasectrxIssuelevel", badge.level);
  writer.add("plasectrxFacilityCode", same(std::to_string(random.below(256))));
  writer.add("plasectrxExpiredat", badge.expires);
  writer.add("plasectrxActivdat", badge.activated);
  writer.add("plasectrxIssuedat", badge.issued);
  writer.add("plasectrxHasCamera", same(random.below(2) == 0 ? "0" : "1"));
  writer.add("plasectrxHasNotes", same("0"));
  writer.add("plasectrxHasSoftTriggerSet", same("0"));
  writer.add("plasectrxShowVideo", same("0"));
  writer.add("plasectrxSeqno", same("0"));
  writer.add("plasectrxIsAlarm", same(alarm ? "1" : "0"));
  return writer.finish();
}

// Each damage sits behind the identifier, so that a checker finds it in the quarantined bytes.
EventForm damaged(EventForm form, std::string_view from, std::string_view to) {
  form.bytes.replace(form.bytes.find(from), from.size(), to);
  form.malformed = true;
  form.values.clear();
  return form;
}

}  // namespace

EventForms::EventForms(EventType type, std::uint64_t seed) {
  using namespace std::string_view_literals;
  Random random(seed);
  const std::time_t now = std::time(nullptr);
  for (std::size_t i = 0; i < kFormsWellFormed; ++i) {
    well_formed_.push_back(make_form(type, random, now));
  }
  constexpr std::string_view kSeqno = "<plasectrxSeqno>0</plasectrxSeqno>";
  for (const std::string_view replacement : {
           "<plasectrxSeqno>0"sv,                                   // an end tag is missing
           "<plasectrxSeqno>0</plasectrxSeqn>"sv,                   // the wrong end tag
           "<plasectrxSeqno>&unknown;</plasectrxSeqno>"sv,          // an undefined entity
           "<plasectrxSeqno a=\"1\" a=\"2\">0</plasectrxSeqno>"sv,  // an attribute twice
           "<plasectrxSeqno a=\"<\">0</plasectrxSeqno>"sv,          // < in an attribute
           "<plasectrxSeqno>\x01</plasectrxSeqno>"sv,               // a control character
           "<plasectrxSeqno>\xc3(</plasectrxSeqno>"sv,              // invalid UTF-8
           "<plasectrxSeqno>a & b</plasectrxSeqno>"sv,              // a bare ampersand
       }) {
    malformed_.push_back(damaged(make_form(type, random, now), kSeqno, replacement));
  }
}

void put_identifier(std::uint64_t identifier, char* to) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t i = kIdentifierDigits; i-- > 0; identifier >>= 4) {
    to[i] = kDigits[identifier & 0xf];
  }
}

}  // namespace sluice::load
