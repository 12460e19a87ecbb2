#include "common/net/tls_names.h"

#include <doctest/doctest.h>

#include "tls_rig.h"

using namespace sluice;
using namespace tls_rig;

namespace {

Certificate certificate_with(const std::string& common_name, const std::string& alternative = "") {
  Certificate one(X509_new());
  name_subject(one.get(), common_name);
  add_extension(one.get(), NID_subject_alt_name, alternative);
  return one;
}

// By which name; "-" for none.
std::string admitted(const std::vector<std::string>& entries, const Certificate& certificate) {
  const auto allowed = AllowedNames::parse(entries);
  REQUIRE(allowed);
  return allowed->admit(names_of(certificate.get())).value_or("-");
}

}  // namespace

TEST_CASE("n12_a_listed_name_is_found_among_dns_uri_and_email_names") {
  const auto one = certificate_with(
      "cn.example", "DNS:A.example,URI:spiffe://plant/gate-7,email:ops@example.org,IP:192.0.2.1");
  CHECK(admitted({"a.EXAMPLE"}, one) == "A.example");
  CHECK(admitted({"spiffe://plant/gate-7"}, one) == "spiffe://plant/gate-7");
  CHECK(admitted({"ops@example.org"}, one) == "ops@example.org");
  CHECK(admitted({"nobody", "ops@example.org", "a.example"}, one) == "A.example");
  CHECK(admitted({"spiffe://PLANT/gate-7"}, one) == "-");
  CHECK(admitted({"OPS@example.org"}, one) == "-");
  CHECK(admitted({"192.0.2.1"}, one) == "-");
  CHECK(admitted({"a.example.org"}, one) == "-");
  CHECK(admitted({"a.exampl"}, one) == "-");
}

TEST_CASE("n12_the_common_name_counts_only_without_alternative_names") {
  CHECK(admitted({"gate 7"}, certificate_with("gate 7")) == "gate 7");
  CHECK(admitted({"Gate 7"}, certificate_with("gate 7")) == "-");
  CHECK(admitted({"cn.example"}, certificate_with("cn.example", "DNS:a.example")) == "-");
  CHECK(admitted({"cn.example"}, certificate_with("cn.example", "IP:192.0.2.1")) == "-");
  const auto malformed = certificate_with("cn.example");
  const unsigned char kJunk[] = {0x30, 0x05, 0x82, 0x7F};
  ASN1_OCTET_STRING* junk = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(junk, kJunk, sizeof kJunk);
  X509_EXTENSION* extension = X509_EXTENSION_create_by_NID(nullptr, NID_subject_alt_name, 0, junk);
  X509_add_ext(malformed.get(), extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(junk);
  CHECK(admitted({"cn.example"}, malformed) == "-");
}

TEST_CASE("n12_a_wildcard_stands_for_one_label") {
  const std::vector<std::string> list = {"*.plant.example"};
  CHECK(admitted(list, certificate_with("", "DNS:gate7.plant.example")) == "gate7.plant.example");
  CHECK(admitted(list, certificate_with("", "DNS:gate7.PLANT.example")) == "gate7.PLANT.example");
  CHECK(admitted(list, certificate_with("gate7.plant.example")) == "gate7.plant.example");
  CHECK(admitted(list, certificate_with("", "DNS:*.plant.example")) == "*.plant.example");
  CHECK(admitted(list, certificate_with("", "DNS:a.gate7.plant.example")) == "-");
  CHECK(admitted(list, certificate_with("", "DNS:plant.example")) == "-");
  CHECK(admitted(list, certificate_with("", "DNS:.plant.example")) == "-");
  CHECK(admitted(list, certificate_with("", "DNS:gate7.plant.example.org")) == "-");
  CHECK(admitted(list, certificate_with("", "DNS:gate7xplant.example")) == "-");
  CHECK(admitted(list, certificate_with("", "URI:x.plant.example")) == "-");
  // A wildcard in the certificate stands for itself.
  CHECK(admitted({"gate7.plant.example"}, certificate_with("", "DNS:*.plant.example")) == "-");
}

TEST_CASE("n12_names_with_odd_bytes_or_of_odd_length_are_no_names") {
  const auto one = certificate_with("");
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  for (const std::string& text :
       {std::string("gate7.example\0.evil", 19), std::string("a\nb"), std::string(),
        std::string(256, 'x'), std::string("b\xC3\xBC"), std::string(255, 'y')}) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_IA5STRING* value = ASN1_IA5STRING_new();
    ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
    GENERAL_NAME_set0_value(name, GEN_DNS, value);
    sk_GENERAL_NAME_push(names, name);
  }
  REQUIRE(X509_add1_ext_i2d(one.get(), NID_subject_alt_name, names, 0, 0) == 1);
  GENERAL_NAMES_free(names);
  const CertificateNames found = names_of(one.get());
  REQUIRE(found.names.size() == 1);
  CHECK(found.names.front().text == std::string(255, 'y'));
  CHECK(admitted({"gate7.example"}, one) == "-");
  CHECK(names_of(certificate_with("b\xC3\xBC").get()).names.empty());
}

TEST_CASE("without_a_list_the_first_dns_name_names_the_client_else_its_common_name") {
  CHECK(admitted({}, certificate_with("cn", "URI:u:1,DNS:a.example,DNS:b.example")) == "a.example");
  CHECK(admitted({}, certificate_with("cn", "URI:u:1")) == "cn");
  CHECK(admitted({}, certificate_with("", "URI:u:1,email:a@b.example")) == "u:1");
  CHECK(admitted({}, certificate_with("")).empty());
  const auto several = certificate_with("first");
  name_subject(several.get(), "last");
  CHECK(admitted({}, several) == "last");
  CHECK(admitted({"first"}, several) == "-");
}

TEST_CASE("what_the_peer_chose_is_quoted_and_short") {
  CHECK(quoted_peer_text("gate 7") == "\"gate 7\"");
  CHECK(quoted_peer_text("a\"b\\c\n\x7F\xFF") == "\"a\\\"b\\\\c\\x0a\\x7f\\xff\"");
  CHECK(quoted_peer_text(std::string(65, 'x')) == "\"" + std::string(64, 'x') + "...\"");
}
