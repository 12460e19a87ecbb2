#include "common/http/curl_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include "common/base/check.h"
#include "common/http/bandwidth_limit.h"
#include "common/http/curl_report.h"

namespace sluice {
namespace {

// A deadline is looked at this often even where curl has no event.
constexpr std::chrono::milliseconds kPollMax{60'000};

struct EasyCloser {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyCloser>;
struct ListFreer {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListFreer>;
struct MultiCloser {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

struct Transfer {
  Easy easy;
  HeaderList header_list;
  HttpRequest request;
  HttpCompletion completion;
  HttpResponse response;
  BandwidthLimit* bandwidth = nullptr;
  std::uint64_t body_sent = 0;
  bool paused = false;  // until there is bandwidth
  std::size_t header_bytes = 0;
  bool too_large = false;
  std::array<char, CURL_ERROR_SIZE> error_text{};
};

void append_header(HeaderList& list, const std::string& line) {
  curl_slist* grown = curl_slist_append(list.get(), line.c_str());
  CHECK_THAT(grown != nullptr);
  static_cast<void>(list.release());
  list.reset(grown);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

extern "C" {

static std::size_t on_read(char* into, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t wanted = static_cast<std::size_t>(
      std::min<std::uint64_t>(size * count, transfer.request.body_bytes - transfer.body_sent));
  const std::size_t allowed = transfer.bandwidth->take(wanted, std::chrono::steady_clock::now());
  if (wanted > 0 && allowed == 0) {
    transfer.paused = true;
    return CURL_READFUNC_PAUSE;
  }
  const std::size_t bytes =
      transfer.request.body(transfer.body_sent, {reinterpret_cast<std::byte*>(into), allowed});
  transfer.body_sent += bytes;
  return bytes;
}

static int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  static_cast<Transfer*>(user)->body_sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(bytes, size * count);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > transfer.request.limits.header_bytes_max) {
    transfer.too_large = true;
    return 0;
  }
  if (line.starts_with("HTTP/")) {  // of a 100 before, or of the answer itself
    transfer.response.headers.clear();
    return line.size();
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    std::string name(trim(line.substr(0, colon)));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    transfer.response.headers.emplace_back(std::move(name), trim(line.substr(colon + 1)));
  }
  return line.size();
}

static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t more = size * count;
  if (transfer.response.body.size() + more > transfer.request.limits.body_bytes_max) {
    transfer.too_large = true;
    return 0;
  }
  transfer.response.body.append(bytes, more);
  return more;
}

}  // extern "C"

template <class T>
void set(CURL* easy, CURLoption option, T value) {
  CHECK_THAT(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

void set_proxy(CURL* easy, const CurlClient::Options& options, bool direct) {
  set(easy, CURLOPT_PROXY, direct ? "" : options.proxy.c_str());  // "": not the environment's
  set(easy, CURLOPT_NOPROXY, "");
  if (!direct && !options.proxy.empty()) {
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!options.ca_file.empty()) {
      set(easy, CURLOPT_PROXY_CAINFO, options.ca_file.c_str());
    }
  }
}

void set_limits(CURL* easy, const HttpLimits& limits) {
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_timeout.count()));
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(limits.deadline.count()));
  set(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(limits.low_speed_bytes_per_second));
  set(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits.low_speed_time.count()));
}

void set_method(Transfer& transfer) {
  CURL* easy = transfer.easy.get();
  const HttpRequest& request = transfer.request;
  if (request.body) {
    set(easy, CURLOPT_UPLOAD, 1L);
    set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_bytes));
    set(easy, CURLOPT_READFUNCTION, on_read);
    set(easy, CURLOPT_READDATA, &transfer);
    if (!request.body_sent_once) {  // curl cannot send again what it cannot rewind
      set(easy, CURLOPT_SEEKFUNCTION, on_seek);
      set(easy, CURLOPT_SEEKDATA, &transfer);
    }
  } else if (request.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  }
  if (request.method != "HEAD") {
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

void set_headers(Transfer& transfer) {
  for (const auto& [name, value] : transfer.request.headers) {
    // "Name;" is curl's way to send a header without a value.
    append_header(transfer.header_list,
                  value.empty() ? name + ";" : std::string(name).append(": ").append(value));
  }
  // Waiting for "100 Continue" costs a round trip, and a second where the server knows it not.
  append_header(transfer.header_list, "Expect:");
  set(transfer.easy.get(), CURLOPT_HTTPHEADER, transfer.header_list.get());
}

}  // namespace

struct CurlClient::State {
  explicit State(Options given)
      : options(std::move(given)), bandwidth(options.send_bytes_per_second_max) {
    static std::once_flag once;
    std::call_once(once, [] { CHECK_THAT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
    multi.reset(curl_multi_init());
    CHECK_THAT(multi != nullptr);
    CHECK_THAT(curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS,
                                 static_cast<long>(options.connections_max)) == CURLM_OK);
  }
  ~State() {
    for (const auto& transfer : transfers) {
      curl_multi_remove_handle(multi.get(), transfer->easy.get());
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void configure(Transfer& transfer) const;
  HttpOutcome outcome_of(Transfer& transfer, CURLcode code) const;
  // Calls the completions of all transfers that have ended; how many.
  std::size_t deliver();
  // Lets those go on that wait for bandwidth, if there is some; when there will be.
  MonotonicTime resume_paused();

  Options options;
  BandwidthLimit bandwidth;
  std::unique_ptr<CURLM, MultiCloser> multi;
  std::vector<std::unique_ptr<Transfer>> transfers;
  std::vector<Easy> idle;
  std::atomic<bool> woken{false};
};

void CurlClient::State::configure(Transfer& transfer) const {
  CURL* easy = transfer.easy.get();
  set(easy, CURLOPT_PRIVATE, &transfer);
  set(easy, CURLOPT_ERRORBUFFER, transfer.error_text.data());
  set(easy, CURLOPT_URL, transfer.request.url.c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_PATH_AS_IS, 1L);  // the path is signed: no dot segment may be resolved
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set_proxy(easy, options, transfer.request.direct);
  set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_TCP_NODELAY, 1L);
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_FRESH_CONNECT, transfer.request.fresh_connection ? 1L : 0L);
  set(easy, CURLOPT_CERTINFO, transfer.request.wants_connection ? 1L : 0L);
  set(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  set(easy, CURLOPT_BUFFERSIZE, 64L * 1024);
  set(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
  if (!options.ca_file.empty()) {
    set(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  }
  set(easy, CURLOPT_MAXAGE_CONN, static_cast<long>(options.idle_timeout.count()));
  set(easy, CURLOPT_MAXLIFETIME_CONN, static_cast<long>(options.connection_lifetime.count()));
  set(easy, CURLOPT_DNS_CACHE_TIMEOUT, static_cast<long>(options.dns_lifetime.count()));
  set(easy, CURLOPT_HEADERFUNCTION, on_header);
  set(easy, CURLOPT_HEADERDATA, &transfer);
  set(easy, CURLOPT_WRITEFUNCTION, on_body);
  set(easy, CURLOPT_WRITEDATA, &transfer);
  set_limits(easy, transfer.request.limits);
  set_method(transfer);
  set_headers(transfer);
}

HttpOutcome CurlClient::State::outcome_of(Transfer& transfer, CURLcode code) const {
  HttpOutcome outcome;
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    transfer.response.status = static_cast<int>(status);
    if (transfer.request.wants_connection) {
      transfer.response.connection = connection_of(transfer.easy.get());
    }
    outcome.response = std::move(transfer.response);
    return outcome;
  }
  HttpError error = error_of(transfer.easy.get(), code);
  error.message = transfer.error_text.data();
  if (transfer.too_large) {
    error = {.kind = HttpError::Kind::too_large, .message = "the answer is longer than allowed"};
  } else if (error.message.empty()) {
    error.message = curl_easy_strerror(code);
  }
  outcome.error = std::move(error);
  return outcome;
}

std::size_t CurlClient::State::deliver() {
  std::vector<std::pair<std::unique_ptr<Transfer>, CURLcode>> done;
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) {
      continue;
    }
    const CURLcode code = message->data.result;
    CURL* easy = message->easy_handle;
    const auto found = std::find_if(transfers.begin(), transfers.end(), [easy](const auto& entry) {
      return entry->easy.get() == easy;
    });
    CHECK_THAT(found != transfers.end());
    curl_multi_remove_handle(multi.get(), easy);
    done.emplace_back(std::move(*found), code);
    transfers.erase(found);
  }
  for (auto& [transfer, code] : done) {
    HttpOutcome outcome = outcome_of(*transfer, code);
    HttpCompletion completion = std::move(transfer->completion);
    curl_easy_reset(transfer->easy.get());
    idle.push_back(std::move(transfer->easy));
    transfer.reset();
    completion(std::move(outcome));
  }
  return done.size();
}

MonotonicTime CurlClient::State::resume_paused() {
  const auto waits = [](const auto& transfer) { return transfer->paused; };
  if (std::none_of(transfers.begin(), transfers.end(), waits)) {
    return MonotonicTime::max();
  }
  const MonotonicTime now = std::chrono::steady_clock::now();
  const MonotonicTime ready_at = bandwidth.ready_at(now);
  if (ready_at > now) {
    return ready_at;
  }
  for (const auto& transfer : transfers) {
    if (std::exchange(transfer->paused, false)) {
      curl_easy_pause(transfer->easy.get(), CURLPAUSE_CONT);
    }
  }
  // The one that waited longest is the first the next time.
  std::rotate(transfers.begin(), transfers.begin() + 1, transfers.end());
  return now;
}

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [header_name, value] : headers) {
    if (header_name == name) {
      return value;
    }
  }
  return {};
}

CurlClient::CurlClient(Options options) : state_(std::make_unique<State>(std::move(options))) {}
CurlClient::~CurlClient() = default;

void CurlClient::start(HttpRequest request, HttpCompletion completion) {
  auto transfer = std::make_unique<Transfer>();
  if (state_->idle.empty()) {
    transfer->easy.reset(curl_easy_init());
    CHECK_THAT(transfer->easy != nullptr);
  } else {
    transfer->easy = std::move(state_->idle.back());
    state_->idle.pop_back();
  }
  transfer->request = std::move(request);
  transfer->completion = std::move(completion);
  transfer->bandwidth = &state_->bandwidth;
  state_->configure(*transfer);
  CHECK_THAT(curl_multi_add_handle(state_->multi.get(), transfer->easy.get()) == CURLM_OK);
  state_->transfers.push_back(std::move(transfer));
}

void CurlClient::poll(MonotonicTime until) {
  for (;;) {
    int running = 0;
    CHECK_THAT(curl_multi_perform(state_->multi.get(), &running) == CURLM_OK);
    if (state_->deliver() > 0 || state_->woken.exchange(false)) {
      return;
    }
    const MonotonicTime now = std::chrono::steady_clock::now();
    if (now >= until) {
      return;
    }
    const MonotonicTime next = std::min(until, state_->resume_paused());
    if (next <= now) {
      continue;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now);
    CHECK_THAT(curl_multi_poll(state_->multi.get(), nullptr, 0,
                               static_cast<int>(std::min(left, kPollMax).count()),
                               nullptr) == CURLM_OK);
  }
}

void CurlClient::wake() {
  state_->woken.store(true);
  curl_multi_wakeup(state_->multi.get());
}

std::size_t CurlClient::in_flight() const { return state_->transfers.size(); }

}  // namespace sluice
