// The way to the store: connections, redirects, certificates, hostile answers.
#include <doctest/doctest.h>

#include "s3_client_fixture.h"
#include "scratch_directory.h"

namespace sluice {
namespace {

using s3_client_test::Fixture;
using Kind = StoreErrorKind;

TEST_CASE("s12_a_dead_reused_connection_is_replaced_at_once_and_the_body_rewound") {
  Fixture fixture;
  CHECK(fixture.put("a", "x").ok());
  // The connection is open; the next request on it is cut before a byte of an answer.
  fixture.server.fault({{"match", "PUT"}, {"kind", "reset"}, {"after_body", true}});
  const std::string text(3'000'000, 'y');
  const StoreResult<PutOutcome> result = fixture.put("b", text);
  if (result.error) {  // a reset, unlike an orderly end, is reported: then the caller's retry
    CHECK(result.error->kind == Kind::retry);
    CHECK(fixture.put("b", text).ok());
  }
  CHECK(fixture.server.objects().size() == 2);
  CHECK(fixture.server.objects()[1].at("bytes") == text.size());
}

TEST_CASE("s12_a_reused_connection_that_ends_in_order_is_replaced_unseen") {
  Fixture fixture;
  CHECK(fixture.put("a", "x").ok());
  CHECK(fixture.kind_of_put("a") ==
        Kind::exists);  // it knows conditions: a second copy is harmless
  fixture.server.fault({{"match", "PUT"}, {"kind", "close"}});
  const std::string text(3'000'000, 'y');
  CHECK(fixture.put("b", text).ok());
  const nlohmann::json requests = fixture.server.requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[2].at("connection") == requests[0].at("connection"));
  CHECK(requests[3].at("connection") != requests[0].at("connection"));
  CHECK(fixture.server.objects()[1].at("bytes") == text.size());
}

TEST_CASE("a_connection_that_was_idle_for_long_is_not_used_again") {
  Fixture fixture({.idle_timeout = std::chrono::seconds(1)});
  CHECK(fixture.put("a", "x").ok());
  CHECK(fixture.put("b", "x").ok());
  // curl has a clock of its own, which counts whole seconds.
  const MonotonicTime idle_until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < idle_until) {
    (*fixture.client)->poll(idle_until);
  }
  CHECK(fixture.put("c", "x").ok());
  const nlohmann::json requests = fixture.server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1].at("connection") == requests[0].at("connection"));
  CHECK(requests[2].at("connection") != requests[0].at("connection"));
}

// ---- redirects

nlohmann::json redirect_to(const std::string& location) {
  return {{"match", "PUT"},
          {"status", 307},
          {"code", "TemporaryRedirect"},
          {"headers", {{"Location", location}}}};
}

TEST_CASE("s3_a_307_to_the_same_store_over_tls_is_followed_once_and_signed_again") {
  const ScratchDirectory scratch;
  FakeS3Server target({}, scratch.path().string());
  Fixture fixture({.ca_file = target.ca_file()});
  fixture.server.fault(redirect_to(target.url() + "/bucket/k?rk=1"));
  const std::string text(200'000, 'x');
  CHECK(fixture.put("k", text).ok());
  CHECK(fixture.server.objects().empty());
  REQUIRE(target.objects().size() == 1);
  CHECK(target.objects()[0].at("bytes") == text.size());
  const nlohmann::json request = target.requests()[0];
  CHECK(request.at("headers").at("host") == "127.0.0.1:" + std::to_string(target.port()));

  // Only that request was meant; and who is sent on again is led round in circles.
  CHECK(fixture.put("l", "x").ok());
  CHECK(fixture.server.objects().size() == 1);
  fixture.server.fault(redirect_to(target.url() + "/bucket/m"));
  target.fault(redirect_to(target.url() + "/bucket/m"));
  CHECK(fixture.kind_of_put("m") == Kind::configuration);
  CHECK(fixture.last_error.code == "TemporaryRedirect");
}

TEST_CASE("s3_a_307_to_anywhere_else_is_configuration_and_not_followed") {
  Fixture fixture;
  FakeS3Server other;
  for (const std::string& location :
       {other.url() + "/bucket/k", std::string("https://elsewhere.test/bucket/k"), std::string(),
        "https://127.0.0.1:" + std::to_string(other.port()) + "/another/k"}) {
    CAPTURE(location);
    fixture.server.fault(redirect_to(location));
    CHECK(fixture.kind_of_put("k") == Kind::configuration);
    CHECK(fixture.last_error.code == "TemporaryRedirect");
  }
  CHECK(other.requests().empty());
}

// ---- certificates

TEST_CASE("s15_only_a_good_certificate_of_a_known_authority_is_accepted") {
  const ScratchDirectory scratch;
  FakeS3Server good({}, scratch.path().string());
  Fixture known({.url = good.url(), .ca_file = good.ca_file()});
  CHECK(known.put("k", "x").ok());

  const std::size_t before = good.requests().size();
  Fixture unknown({.url = good.url()});
  CHECK(unknown.kind_of_put("l") == Kind::configuration);
  CHECK(unknown.last_error.code == "CertificateError");
  CHECK(describe(unknown.last_error).find("S3_CA_FILE") != std::string::npos);
  CHECK(good.requests().size() == before);  // nothing was sent

  Fixture no_file({.url = good.url(), .ca_file = "/nowhere/ca.pem"});
  CHECK(no_file.kind_of_put("l") == Kind::configuration);
  CHECK(no_file.last_error.code == "CertificateError");
}

TEST_CASE("s15_an_expired_certificate_and_one_for_another_host_are_refused") {
  for (const char* certificate : {"expired", "other-host"}) {
    CAPTURE(certificate);
    const ScratchDirectory scratch;
    const FakeS3Server server({"--certificate", certificate}, scratch.path().string());
    Fixture fixture({.url = server.url(), .ca_file = server.ca_file()});
    CHECK(fixture.kind_of_put("k") == Kind::configuration);
    CHECK(fixture.last_error.code == "CertificateError");
  }
}

TEST_CASE("s15_a_name_that_the_dns_does_not_know_may_be_known_later") {
  Fixture fixture({.url = "http://no-such-host.invalid"});
  CHECK(fixture.kind_of_put("k") == Kind::retry);
  CHECK(fixture.last_error.code == "NameNotResolved");
}

// ---- hostile answers

TEST_CASE("s14_hostile_error_text_is_cut_and_printable_when_it_reaches_the_log") {
  Fixture fixture;
  const std::string noise = "\x1b[31m\n\"" + std::string(200'000, 'A');
  for (const std::string& body :
       {"<Error><Code>Acc\x1b[0mess\nDenied" + noise + "</Code><Message>" + noise +
            "</Message></Error>",
        "<Error><Code>AccessDenied</Code><Message>&#27;[31m&#10;" + noise + "</Message></Error>",
        "<!DOCTYPE x [<!ENTITY a \"" + noise + "\">]><Error><Code>&a;</Code></Error>", noise}) {
    fixture.server.fault({{"match", "PUT"}, {"status", 403}, {"body", body}});
    CHECK(fixture.kind_of_put("k") == Kind::configuration);
    const std::string text = describe(fixture.last_error);
    CHECK(text.size() < 1000);
    CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; }));
  }
}

}  // namespace
}  // namespace sluice
