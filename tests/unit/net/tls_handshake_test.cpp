#include <doctest/doctest.h>

#include "common/net/tls_hello.h"
#include "tls_rig.h"

using namespace sluice;
using namespace tls_rig;
using Kind = TlsHandshakeOutcome::Kind;

namespace {

constexpr std::array kVersions = {TLS1_2_VERSION, TLS1_3_VERSION};

// The reason for which a client with these options is turned away. What it says right after its
// own end of the handshake (under TLS 1.3 it has that before the server has judged) stays unread.
std::string refusal(const std::shared_ptr<const TlsContext>& context, ClientOptions options) {
  Pair pair(context, options);
  TlsHandshakeOutcome outcome;
  for (int turn = 0; turn < 20; ++turn) {
    if (pair.client_state == 0 && (pair.client_state = pair.client.step()) == 1) {
      (void)pair.client.write("<EVENT/>");
    }
    pair.carry();
    outcome = pair.session.handshake();
    if (outcome.kind != Kind::want_read) {
      break;
    }
    pair.carry();
  }
  CHECK(outcome.kind == Kind::failed);
  CHECK_FALSE(pair.session.established());
  CHECK(pair.session.client_name().empty());
  CHECK(pair.session.shutdown() == TlsShutdown::failed);
  CHECK(outcome.reason.find('\n') == std::string::npos);
  // The client is told by an alert.
  pair.carry();
  (void)(pair.client_state == 1 ? pair.client.read() : std::to_string(pair.client.step()));
  CHECK(SSL_get_shutdown(pair.client.ssl()) == SSL_RECEIVED_SHUTDOWN);
  return outcome.reason;
}

bool begins(const std::string& text, std::string_view with) {
  INFO(text);
  CHECK(text.substr(0, with.size()) == with);
  return text.starts_with(with);
}

std::string plain_refusal(const std::shared_ptr<const TlsContext>& context, std::string_view bytes,
                          bool finish = false) {
  const Wire wire;
  TlsSession session(context, wire.server());
  CHECK(session.handshake().kind == Kind::want_read);
  CHECK(wire.send(bytes) == bytes.size());
  if (finish) {
    wire.finish();
  }
  const TlsHandshakeOutcome outcome = session.handshake();
  CHECK(outcome.kind == Kind::failed);
  return outcome.reason;
}

}  // namespace

TEST_CASE("c6_tls_1_2_and_1_3_are_spoken_with_forward_secrecy_and_aead") {
  const Site site;
  const auto context = site.plain();
  for (const int version : kVersions) {
    Pair pair(context, {.version_min = version, .version_max = version, .trusts = &site.root});
    CHECK(pair.handshake().kind == Kind::done);
    CHECK(pair.client_state == 1);
    CHECK(pair.session.established());
    CHECK(pair.session.handshake().kind == Kind::done);
    CHECK(pair.session.client_name().empty());
    CHECK(pair.session.version() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
    const SSL_CIPHER* cipher = SSL_get_current_cipher(pair.client.ssl());
    CHECK(pair.session.cipher() == SSL_CIPHER_get_name(cipher));
    CHECK(SSL_CIPHER_is_aead(cipher) == 1);
    CHECK(SSL_get_current_compression(pair.client.ssl()) == nullptr);
  }
}

TEST_CASE("n12_what_is_older_than_tls_1_2_is_refused") {
  const Site site;
  const auto context = site.plain();
  CHECK(begins(refusal(context, {.version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION}),
               "no shared protocol version: the client offers neither TLS 1.2 nor 1.3"));
  for (const char* old : {"ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "AECDH-AES128-SHA"}) {
    CHECK(begins(refusal(context, {.version_max = TLS1_2_VERSION, .ciphers = old}),
                 "no shared cipher"));
  }
}

TEST_CASE("n12_a_client_without_a_good_certificate_is_refused_before_a_byte_is_accepted") {
  const Site site;
  const Issued other_root = make_authority("another root");
  const Issued stranger = issue({.common_name = "str\x1b\"nger\n"}, &other_root);
  const Issued imitator_root = make_authority("root of clients");  // the name alone
  const Issued imitator = issue({.common_name = "gate 7"}, &imitator_root);
  const Issued alone = issue({.common_name = "alone"}, nullptr);
  const Issued expired =
      issue({.common_name = "gate 7", .begins_in_s = -7200, .ends_in_s = -60}, &site.clients);
  const Issued early =
      issue({.common_name = "gate 7", .begins_in_s = 600, .ends_in_s = 7200}, &site.clients);
  const Issued server_only = issue({.common_name = "gate 7", .usage = "serverAuth"}, &site.clients);
  const auto context = site.mutual();
  for (const int version : kVersions) {
    const auto reason = [&](const Issued* certificate) {
      return refusal(context,
                     {.certificate = certificate, .version_min = version, .version_max = version});
    };
    CHECK(begins(reason(nullptr), "client certificate missing"));
    CHECK(reason(&stranger) == "client certificate of an unknown authority");
    CHECK(begins(reason(&imitator), "client certificate refused: certificate signature failure"));
    CHECK(reason(&alone) == "client certificate of an unknown authority, its name: \"alone\"");
    CHECK(reason(&expired) ==
          "client certificate expired, or its authority's, its name: \"gate 7\"");
    CHECK(begins(reason(&early), "client certificate not valid yet"));
    CHECK(begins(reason(&server_only), "client certificate refused: "));
  }
}

TEST_CASE("n12_a_client_whose_name_is_not_on_the_list_is_refused") {
  const Site site;
  const auto context = site.mutual({"gate7.plant.example", "*.line.example"});
  const Issued listed =
      issue({.common_name = "x", .alternative = "DNS:gate7.plant.example"}, &site.clients);
  const Issued by_wildcard = issue({.common_name = "robot.line.example"}, &site.clients);
  const Issued other = issue(
      {.common_name = "gate7.plant.example", .alternative = "DNS:gate8.plant.example,URI:a\"b"},
      &site.clients);
  const Issued nameless = issue({.common_name = ""}, &site.clients);
  for (const int version : kVersions) {
    const auto with = [&](const Issued& certificate) {
      return ClientOptions{&certificate, version, version, nullptr, nullptr};
    };
    Pair first(context, with(listed));
    CHECK(first.handshake().kind == Kind::done);
    CHECK(first.session.client_name() == "gate7.plant.example");
    Pair second(context, with(by_wildcard));
    CHECK(second.handshake().kind == Kind::done);
    CHECK(second.session.client_name() == "robot.line.example");
    CHECK(refusal(context, with(other)) ==
          "client certificate not allowed: none of its names is on the list: "
          "\"gate8.plant.example\", \"a\\\"b\", \"gate7.plant.example\"");
    CHECK(refusal(context, with(nameless)) ==
          "client certificate not allowed: it has no name to compare");
  }
}

TEST_CASE("n12_an_intermediate_authority_alone_is_trusted_when_it_is_in_the_file") {
  const Site site;
  const Issued between = make_authority("between", &site.clients);
  const Issued gate = issue({.common_name = "gate 7"}, &between);
  site.write("ca.pem", between.cert_pem());
  Pair pair(site.mutual(), {.certificate = &gate});
  CHECK(pair.handshake().kind == Kind::done);
  CHECK(pair.session.client_name() == "gate 7");
}

TEST_CASE("n12_a_client_that_refuses_our_certificate_is_named_with_its_alert") {
  const Site site;
  const Issued other_root = make_authority("another root");
  for (const int version : kVersions) {
    Pair pair(site.plain(),
              {.version_min = version, .version_max = version, .trusts = &other_root});
    const auto outcome = pair.handshake();
    CHECK(outcome.kind == Kind::failed);
    CHECK(outcome.reason ==
          "the client gave up with the alert 'unknown CA': it does not take this server's "
          "certificate");
  }
}

TEST_CASE("n11_plain_text_on_a_tls_port_is_named") {
  using namespace std::string_view_literals;
  const Site site;
  const auto context = site.plain();
  for (const std::string_view text :
       {"<?xml version=\"1.0\"?><EVENT/>"sv, "GET / HTTP/1.1\r\n\r\n"sv,
        "CONNECT a:1 HTTP/1.1\r\n"sv, "{\"level\":\"ERROR\"}\n"sv, "\n\n\n\n\n\n"sv,
        "\xEF\xBB\xBF<EVENT/>"sv, "\xFF\xFE<\0E\0V\0"sv}) {
    INFO(text);
    CHECK(plain_refusal(context, text) == "the client speaks plain text to a TLS port");
  }
  CHECK(plain_refusal(context, "<E", true) == "the client speaks plain text to a TLS port");
  CHECK(plain_refusal(context, "\0\0\0\x06\x0a\x04"sv) == "the client does not speak TLS");
  CHECK(begins(plain_refusal(context,
                             "\x16\x03\x01\0\x05"
                             "abcde"sv),
               "TLS error: "));
  CHECK(plain_refusal(context, "\x16\x03\x01"sv, true) == "the client closed during the handshake");
}

TEST_CASE("n11_a_tls_hello_on_a_plain_port_is_recognised") {
  const auto looks = [](std::string_view bytes) {
    return looks_like_tls_hello(std::as_bytes(std::span(bytes)));
  };
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    Client client({.version_min = version, .version_max = version, .ciphers = "ALL"});
    (void)client.step();
    const std::string hello = client.take_output();
    CHECK(looks(hello));
    CHECK(looks(std::string_view(hello).substr(0, 3)));
    CHECK_FALSE(looks(std::string_view(hello).substr(0, 2)));
  }
  using namespace std::string_view_literals;
  CHECK_FALSE(looks(""sv));
  CHECK_FALSE(looks("<?xml "sv));
  CHECK_FALSE(looks("\x16\x02\x01"sv));
  CHECK_FALSE(looks("\x16\x03\x05"sv));
  CHECK_FALSE(looks("\x17\x03\x03"sv));
  CHECK_FALSE(looks("\x16\x03\x01\0\x05\x02"sv));
}

TEST_CASE("n1_a_probe_that_connects_and_closes_is_no_fault_under_tls") {
  const Site site;
  const auto context = site.plain();
  const Wire finished;
  TlsSession first(context, finished.server());
  CHECK(first.handshake().kind == Kind::want_read);
  finished.finish();
  CHECK(first.handshake().kind == Kind::closed);
  Wire closed;
  closed.close();
  TlsSession second(context, closed.server());
  CHECK(second.handshake().kind == Kind::closed);
}

TEST_CASE("n12_a_handshake_goes_on_from_any_byte_to_the_next") {
  const Site site;
  const Issued gate = issue({.common_name = "gate 7"}, &site.clients);
  const auto context = site.mutual();
  for (const int version : kVersions) {
    Pair pair(context, {.certificate = &gate, .version_min = version, .version_max = version});
    TlsHandshakeOutcome outcome;
    std::size_t bytes = 0;
    for (int turn = 0; turn < 10 && outcome.kind == Kind::want_read; ++turn) {
      (void)pair.client.step();
      for (const char byte : pair.client.take_output()) {
        REQUIRE(outcome.kind == Kind::want_read);
        CHECK(pair.wire.send({&byte, 1}) == 1);
        outcome = pair.session.handshake();
        ++bytes;
      }
      pair.client.give_input(pair.wire.receive());
    }
    CHECK(outcome.kind == Kind::done);
    CHECK(bytes > 500);
    CHECK(pair.client.step() == 1);
    CHECK(pair.session.client_name() == "gate 7");
  }
}

// With every byte of the client's last flight spoilt in turn nobody comes in.
TEST_CASE("n12_a_spoilt_handshake_never_succeeds") {
  const Site site;
  const Issued gate = issue({.common_name = "gate 7"}, &site.clients);
  const auto context = site.mutual();
  for (const int version : kVersions) {
    std::size_t at = 0;
    for (bool more = true; more; at += 7) {
      Pair pair(context, {.certificate = &gate, .version_min = version, .version_max = version});
      (void)pair.client.step();
      pair.carry();
      CHECK(pair.session.handshake().kind == Kind::want_read);
      pair.carry();
      (void)pair.client.step();
      std::string flight = pair.client.take_output();
      more = at + 7 < flight.size();
      if (at >= flight.size()) {
        break;  // signatures differ in length
      }
      flight[at] = static_cast<char>(flight[at] ^ 0x20);
      (void)pair.wire.send(flight);
      pair.wire.finish();
      INFO("version ", version, " byte ", at);
      CHECK(pair.session.handshake().kind == Kind::failed);
      CHECK_FALSE(pair.session.established());
    }
    CHECK(at > 300);
  }
}

TEST_CASE("c6_no_session_is_resumed_and_no_early_data_offered") {
  const Site site;
  const Issued gate = issue({.common_name = "gate 7"}, &site.clients);
  for (const auto& context : {site.plain(), site.mutual()}) {
    for (const int version : kVersions) {
      const ClientOptions options{&gate, version, version, nullptr, nullptr};
      Pair first(context, options);
      CHECK(first.handshake().kind == Kind::done);
      CHECK(first.client.read().empty());  // no ticket came after the handshake
      SSL_SESSION* session = SSL_get1_session(first.client.ssl());
      CHECK(SSL_SESSION_has_ticket(session) == 0);
      CHECK(SSL_SESSION_get_max_early_data(session) == 0);
      Pair second(context, options);
      SSL_set_session(second.client.ssl(), session);
      CHECK(second.handshake().kind == Kind::done);
      CHECK(SSL_session_reused(second.client.ssl()) == 0);
      SSL_SESSION_free(session);
    }
  }
}

TEST_CASE("c6_a_reload_leaves_old_sessions_alone_and_new_ones_see_the_new_certificate") {
  const Site site;
  auto context = site.mutual();
  const Issued gate = issue({.common_name = "gate 7"}, &site.clients);
  Pair old_pair(context, {.certificate = &gate, .trusts = &site.root});
  CHECK(old_pair.handshake().kind == Kind::done);
  Pair half(context, {.certificate = &gate, .trusts = &site.root});  // in its handshake
  (void)half.client.step();
  half.carry();
  CHECK(half.session.handshake().kind == Kind::want_read);

  const Issued new_root = make_authority("new root");
  site.use(issue({.common_name = "server of tomorrow"}, &new_root));
  context = site.mutual({"gate 8"});
  Pair new_pair(context, {.certificate = &gate, .trusts = &new_root});
  CHECK(begins(new_pair.handshake().reason, "client certificate not allowed"));
  const Issued gate8 = issue({.common_name = "gate 8"}, &site.clients);
  Pair listed(context, {.certificate = &gate8, .trusts = &new_root});
  CHECK(listed.handshake().kind == Kind::done);
  CHECK(listed.client_state == 1);
  context.reset();

  CHECK(half.handshake().kind == Kind::done);
  CHECK(half.client_state == 1);
  for (Pair* pair : {&old_pair, &half, &listed}) {
    CHECK(pair->client.write("<EVENT/>"));
    pair->carry();
    std::string text;
    CHECK(pair->read_all(text).kind == TlsReadOutcome::Kind::would_block);
    CHECK(text == "<EVENT/>");
  }
}
