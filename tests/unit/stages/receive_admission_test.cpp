// Who is let in, and what is taken of them before their first byte goes down.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "net/tls_rig.h"
#include "receive_rig.h"

using namespace sluice;

namespace {

AllowList list(std::string_view text) {
  auto parsed = AllowList::parse(text);
  REQUIRE(parsed);
  return std::move(*parsed);
}

Running::Setup with(ListenerRules rules) {
  Running::Setup setup;
  setup.receiver.protocol = Protocol::logs;
  setup.rules = std::make_shared<const ListenerRules>(std::move(rules));
  return setup;
}

Running::Setup behind_a_proxy(std::string_view allow = "") {
  ListenerRules rules;
  rules.proxies = list("127.0.0.1");
  rules.allow = list(allow);
  return with(std::move(rules));
}

// OpenSSL's client over a loopback connection, a byte at a time as it comes.
class SslClient {
 public:
  explicit SslClient(const Running& running) : wire_(running.client()), client_({}) {}

  bool shake_hands() {
    for (int state = client_.step(); state == 0; state = client_.step()) {
      if (!wire_.send(client_.take_output()) || !take_byte()) {
        return false;
      }
    }
    return wire_.send(client_.take_output());
  }
  bool send(std::string_view bytes) {
    return client_.write(bytes) && wire_.send(client_.take_output());
  }
  // Until so many bytes are there, or the peer says no more.
  std::string receive(std::size_t bytes) {
    std::string all = client_.read();
    while (all.size() < bytes && take_byte()) {
      all += client_.read();
    }
    return all;
  }
  LoopbackClient& wire() { return wire_; }

 private:
  bool take_byte() {
    const std::string byte = wire_.receive(1);
    client_.give_input(byte);
    return !byte.empty();
  }

  LoopbackClient wire_;
  tls_rig::Client client_;
};

struct TlsListener {
  tls_rig::Site site;
  PosixFilesystem filesystem;

  Running::Setup setup(bool with_tokens) {
    ListenerRules rules;
    auto context = TlsContext::load(filesystem, site.options(), SystemClock().wall_now());
    REQUIRE(context);
    rules.tls = std::move(*context);
    if (with_tokens) {
      site.write("tokens", "0123456789abcdef0123456789abcdef\n");
      ::chmod((site.directory.path() / "tokens").c_str(), 0600);
      auto tokens = TokenFile::read(filesystem, site.directory.path() / "tokens");
      REQUIRE(tokens);
      rules.tokens = std::move(*tokens);
    }
    return with(std::move(rules));
  }
};

constexpr std::string_view kToken = "{\"token\": \"0123456789abcdef0123456789abcdef\"}\n";
constexpr std::string_view kRefused = "{\"status\": \"error\", \"message\": \"invalid token\"}\n";

void nobody_is_left(Running& running) {
  CHECK(running.wait_until([&] { return running.limits.connections() == 0; }));
  CHECK(running.lane.queue.size() == 0);
  CHECK(running.books.bytes_received.load() == running.books.bytes_transport.load());
}

}  // namespace

TEST_CASE("n9_who_is_not_on_the_list_is_reset_before_a_byte_is_read") {
  ListenerRules rules;
  rules.allow = list("10.0.0.0/8");
  Running running(with(std::move(rules)));
  auto client = running.client();
  CHECK(client.ending() == LoopbackClient::Ending::reset);
  CHECK(running.books.connections_refused.load() == 1);
  CHECK(running.books.connections_opened.load() == 0);
}

TEST_CASE("behind_a_proxy_the_client_is_who_the_header_says_and_its_bytes_are_transport") {
  const std::string header = "PROXY TCP4 192.0.2.7 192.0.2.1 40000 9000\r\n";
  for (const std::size_t cut : {header.size(), std::size_t{1}, std::size_t{17}}) {
    CAPTURE(cut);
    Running running(behind_a_proxy("192.0.2.0/24"));
    auto client = running.client();
    for (std::size_t at = 0; at < header.size(); at += cut) {
      REQUIRE(client.send(header.substr(at, cut)));
      running.turn_of_nobody();
    }
    REQUIRE(client.send("{}\n"));
    auto chunk = running.next();
    REQUIRE(chunk);
    CHECK(chunk->bytes.text() == "{}\n");
    CHECK(to_string(chunk->connection->peer) == "192.0.2.7:40000");
    CHECK(running.books.bytes_transport.load() == header.size());
    CHECK(running.books.bytes_received.load() == header.size() + 3);
  }
}

TEST_CASE("behind_a_proxy_the_list_is_asked_about_the_client") {
  Running running(behind_a_proxy("10.0.0.0/8"));
  auto client = running.client();
  REQUIRE(client.send("PROXY TCP4 192.0.2.7 192.0.2.1 40000 9000\r\n{}\n"));
  CHECK(client.ending() == LoopbackClient::Ending::reset);
  CHECK(running.books.connections_refused.load() == 1);
  nobody_is_left(running);
}

TEST_CASE("a_trusted_proxy_that_sends_no_header_is_refused_and_a_probe_of_it_is_none") {
  Running running(behind_a_proxy());
  auto client = running.client();
  REQUIRE(client.send("{\"level\":\"INFO\"}\n"));
  CHECK(client.ending() == LoopbackClient::Ending::reset);
  CHECK(running.books.connections_refused.load() == 1);
  auto cut = running.client();
  REQUIRE(cut.send("PROXY TC"));
  cut.finish();
  CHECK(cut.ending() == LoopbackClient::Ending::reset);
  CHECK(running.books.connections_refused.load() == 2);
  auto probe = running.client();
  probe.finish();
  CHECK(probe.ending() != LoopbackClient::Ending::timeout);
  CHECK(running.books.connections_refused.load() == 2);
  nobody_is_left(running);
}

TEST_CASE("what_comes_before_the_first_byte_has_a_deadline") {
  TlsListener tls;
  for (const bool by_proxy : {false, true}) {
    CAPTURE(by_proxy);
    Running running(by_proxy ? behind_a_proxy() : tls.setup(true));
    auto client = running.client();
    REQUIRE(client.send(by_proxy ? std::string("PROX") : std::string("\x16\x03\x01\x02", 4)));
    REQUIRE(running.wait_until([&] { return running.books.connections_opened.load() == 1; }));
    running.clock.advance(9s);
    running.turn_of_nobody();
    CHECK(running.limits.connections() == 1);
    running.clock.advance(2s);
    running.turn_of_nobody();
    CHECK(client.ending() == LoopbackClient::Ending::reset);
    CHECK(running.books.connections_refused.load() == 1);
    nobody_is_left(running);
  }
}

TEST_CASE("over_tls_lines_come_in_answers_go_out_and_close_notify_stands_for_fin") {
  TlsListener tls;
  Running running(tls.setup(false));
  SslClient client(running);
  REQUIRE(client.shake_hands());
  REQUIRE(client.send("{}\n"));
  auto chunk = running.next();
  REQUIRE(chunk);
  CHECK(chunk->bytes.text() == "{}\n");
  running.reply(*chunk, std::string(1, '\0'));
  CHECK(client.receive(1).starts_with("{\"status\": \"ok\""));
  client.wire().finish();  // a FIN alone: anybody on the way could have sent it
  Chunk last;
  (void)running.read_to_end(last);
  CHECK(last.end == ConnectionEnd::reset);
  running.answer(last, true);
  CHECK(running.wait_until([&] { return running.limits.connections() == 0; }));
}

TEST_CASE("a_token_is_transport_and_what_is_behind_it_in_one_record_goes_down") {
  TlsListener tls;
  Running running(tls.setup(true));
  SslClient client(running);
  REQUIRE(client.shake_hands());
  REQUIRE(client.send(std::string(kToken) + "{}\n"));
  auto chunk = running.next();
  REQUIRE(chunk);
  CHECK(chunk->bytes.text() == "{}\n");
  CHECK(running.books.bytes_transport.load() == kToken.size());
  CHECK(running.books.bytes_received.load() == kToken.size() + 3);
}

TEST_CASE("without_a_token_that_is_known_nothing_goes_down") {
  TlsListener tls;
  for (const std::string& first :
       {std::string("{\"token\": \"another one, as long as the other\"}\n"),
        std::string("{\"level\":\"INFO\",\"message\":\"x\"}\n"), std::string(100'000, 'x')}) {
    CAPTURE(first.substr(0, 20));
    Running running(tls.setup(true));
    SslClient client(running);
    REQUIRE(client.shake_hands());
    (void)client.send(first);
    CHECK(client.receive(kRefused.size()) == kRefused);
    nobody_is_left(running);  // who was told is counted a moment later
    CHECK(running.books.connections_refused.load() == 1);
  }
}

TEST_CASE("n9_a_tls_client_on_a_plain_port_is_refused_and_the_books_balance") {
  Running running(with({}));
  auto client = running.client();
  tls_rig::Client hello({});
  (void)hello.step();
  REQUIRE(client.send(hello.take_output()));
  CHECK(client.ending() == LoopbackClient::Ending::reset);
  CHECK(running.wait_until([&] { return running.limits.connections() == 0; }));
  CHECK(running.lane.queue.size() == 0);
  CHECK(running.books.bytes_received.load() > 0);
  CHECK(running.books.bytes_received.load() == running.books.bytes_refused.load());
}

TEST_CASE("a_stop_ends_those_who_are_not_let_in_yet") {
  TlsListener tls;
  Running running(tls.setup(true));
  SslClient client(running);
  REQUIRE(client.shake_hands());
  REQUIRE(client.send("{\"tok"));
  running.turn_of_nobody();
  running.thread.request_stop();
  running.thread.join();
  CHECK(client.wire().receive(4096).size() < 4096);
  nobody_is_left(running);
}
