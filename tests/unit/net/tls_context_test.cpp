#include <doctest/doctest.h>

#include "tls_rig.h"

using namespace sluice;
using namespace tls_rig;

namespace {

std::string error_of(const TlsContext::Options& options) {
  const auto context = Site::load(options);
  return context ? std::string("loaded") : context.error().message;
}

bool says(const std::string& message, std::string_view file, std::string_view what) {
  INFO(message);
  const bool both =
      message.find(file) != std::string::npos && message.find(what) != std::string::npos;
  CHECK(both);
  CHECK(message.find('\n') == std::string::npos);
  return both;
}

}  // namespace

TEST_CASE("c6_a_context_knows_when_its_certificate_ends") {
  const Site site;
  const auto context = site.plain();
  const auto left = context->not_after() - std::chrono::system_clock::now();
  CHECK(left > std::chrono::seconds(3500));
  CHECK(left <= std::chrono::seconds(3600));
  CHECK_FALSE(context->asks_for_client_certificate());
  CHECK(site.mutual()->asks_for_client_certificate());
}

TEST_CASE("p10_a_certificate_file_that_cannot_be_used_is_named_with_what_to_do") {
  Site site;
  const auto options = site.options();
  std::filesystem::remove(options.cert_path);
  CHECK(says(error_of(options), "cert.pem", "No such file"));
  std::filesystem::create_directory(options.cert_path);
  CHECK(says(error_of(options), "cert.pem", "not a regular file"));
  std::filesystem::remove(options.cert_path);
  site.write("cert.pem", "");
  CHECK(says(error_of(options), "cert.pem", "no certificate in it: it must be PEM"));
  site.write("cert.pem", std::string(100, '\x30'));
  CHECK(says(error_of(options), "cert.pem", "no certificate in it"));
  const Issued other = issue({.common_name = "server"}, &site.root);
  std::string damaged = other.cert_pem();
  damaged.insert(damaged.size() / 2, "AAAA");
  site.write("cert.pem", damaged);
  CHECK(says(error_of(options), "cert.pem", "certificate 1 in it is damaged"));
  site.write("cert.pem", other.cert_pem() + damaged);
  CHECK(says(error_of(options), "cert.pem", "certificate 2 in it is damaged"));
  site.use(issue({.common_name = "old", .begins_in_s = -7200, .ends_in_s = -3600}, &site.root));
  CHECK(says(error_of(options), "cert.pem", "expired at 20"));
  site.use(issue({.common_name = "new", .begins_in_s = 3600, .ends_in_s = 7200}, &site.root));
  CHECK(says(error_of(options), "cert.pem", "valid only from 20"));
  site.use(issue({.common_name = "weak", .weak = true}, &site.root));
  CHECK(says(error_of(options), "cert.pem", "key too small"));
}

TEST_CASE("p10_a_key_file_that_cannot_be_used_is_named_with_what_to_do") {
  Site site;
  const auto options = site.options();
  const Issued server = issue({.common_name = "server"}, &site.root);
  const Issued other = issue({.common_name = "server"}, &site.root);
  site.use(server);
  CHECK(error_of(options) == "loaded");
  site.write("key.pem", pem_of(server.key.get(), nullptr, true));
  CHECK(error_of(options) == "loaded");
  site.write("key.pem", other.key_pem());
  CHECK(says(error_of(options), "key.pem", "does not match the first certificate in"));
  site.write("key.pem", pem_of(server.key.get(), "secret"));
  CHECK(says(error_of(options), "key.pem", "the key is encrypted"));
  site.write("key.pem", pem_of(server.key.get(), "secret", true));
  CHECK(says(error_of(options), "key.pem", "the key is encrypted"));
  site.write("key.pem", server.cert_pem());
  CHECK(says(error_of(options), "key.pem", "no private key in it"));
  std::filesystem::remove(options.key_path);
  CHECK(says(error_of(options), "key.pem", "No such file"));
  CHECK(error_of(options).find("secret") == std::string::npos);
}

TEST_CASE("p10_client_authorities_and_names_that_cannot_be_used_are_named") {
  Site site;
  auto options = site.options(true);
  options.client_names = {"a.example", "*.b.example"};
  CHECK(error_of(options) == "loaded");
  for (const char* bad : {"", "*", "*.", "a.*.example", "*.*.example", "a\nb"}) {
    options.client_names = {"a.example", bad};
    CHECK(says(error_of(options), "client name", bad == std::string("a\nb") ? "\\x0a" : bad));
  }
  options.client_names = {"a.example"};
  site.write("ca.pem", "nothing");
  CHECK(says(error_of(options), "ca.pem", "no certificate in it"));
  options.client_ca_path.clear();
  CHECK(says(error_of(options), "client CA", "names of clients"));
}

// As Kubernetes mounts secrets.
TEST_CASE("a_certificate_behind_a_link_is_loaded_and_a_missing_one_named_by_its_link") {
  const Site site;
  auto options = site.options();
  const auto link = site.directory.path() / "link.pem";
  std::filesystem::create_symlink("cert.pem", link);
  options.cert_path = link;
  CHECK(error_of(options) == "loaded");
  std::filesystem::remove(site.directory.path() / "cert.pem");
  CHECK(says(error_of(options), "link.pem", "No such file"));
}

TEST_CASE("the_chain_of_the_certificate_file_is_shown_and_not_the_clients_authorities") {
  Site site;
  const Issued between = make_authority("between", &site.root);
  const Issued server = issue({.common_name = "server"}, &between);
  site.use(server);
  site.write("cert.pem", server.cert_pem() + between.cert_pem());
  site.write("ca.pem", site.clients.cert_pem() + site.root.cert_pem() + between.cert_pem());
  const Issued feeder = issue({.common_name = "feeder"}, &site.clients);
  Pair pair(site.mutual(), {.certificate = &feeder, .trusts = &site.root});
  CHECK(pair.handshake().kind == TlsHandshakeOutcome::Kind::done);
  CHECK(pair.client_state == 1);
  CHECK(sk_X509_num(SSL_get_peer_cert_chain(pair.client.ssl())) == 2);
  // By these a client with several certificates chooses.
  CHECK(sk_X509_NAME_num(SSL_get_client_CA_list(pair.client.ssl())) == 3);
  site.write("cert.pem", server.cert_pem());
  Pair alone(site.mutual(), {.certificate = &feeder});
  CHECK(alone.handshake().kind == TlsHandshakeOutcome::Kind::done);
  CHECK(sk_X509_num(SSL_get_peer_cert_chain(alone.client.ssl())) == 1);
}
