#include "common/s3/s3_client.h"

#include <algorithm>
#include <charconv>

#include "common/s3/object_checksum.h"
#include "common/s3/retry_policy.h"
#include "common/s3/s3_answers.h"
#include "common/s3/s3_error.h"
#include "common/s3/s3_headers.h"

namespace sluice {
namespace {

// Below half a minute a signature is accepted anyway, and the header counts in seconds.
constexpr std::chrono::seconds kOffsetMin{30};
// AWS allows 15 minutes.
constexpr std::chrono::minutes kSkewOfARefusal{14};
// Whether credentials have come is looked at this often.
constexpr std::chrono::milliseconds kCredentialsTurn{20};

std::string user_agent(const std::string& suffix) {
  return "sluice/" SLUICE_VERSION + (suffix.empty() ? "" : " " + suffix);
}

}  // namespace

Result<std::unique_ptr<S3Client>> S3Client::make(Options options, Outside outside) {
  Result<S3Endpoint> endpoint = S3Endpoint::make(options.endpoint);
  if (!endpoint) {
    return endpoint.error();
  }
  return std::unique_ptr<S3Client>(new S3Client(std::move(options), std::move(*endpoint), outside));
}

S3Client::S3Client(Options options, S3Endpoint endpoint, Outside outside)
    : options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      credentials_(outside.credentials),
      clock_(outside.clock),
      http_({.ca_file = options_.ca_file,
             .proxy = options_.proxy,
             .connections_max = options_.connections_max,
             .idle_timeout = options_.idle_timeout,
             .user_agent = user_agent(options_.user_agent),
             .send_bytes_per_second_max = options_.send_bytes_per_second_max}) {}

ObjectStore::Capabilities S3Client::capabilities() const {
  return {.conditional_put = conditional_put_,
          .conditions_proven = conditional_put_ && conditions_proven_,
          .metadata = true,
          .signs_payload = true};
}

std::string S3Client::describe() const {
  return "s3://" + options_.endpoint.bucket + " at " + endpoint_.base_url();
}

void S3Client::leave_out_conditions() { conditional_put_ = false; }
bool S3Client::refresh_credentials() { return credentials_.refresh(refused_serial_); }
void S3Client::wake() { http_.wake(); }

void S3Client::poll(MonotonicTime until) {
  send_waiting();
  if (deferred_.empty()) {
    const auto turn = std::chrono::steady_clock::now() + kCredentialsTurn;
    http_.poll(waiting_.empty() ? until : std::min(until, turn));
    return;
  }
  std::deque<std::function<void()>> ready;
  ready.swap(deferred_);
  for (const auto& completion : ready) {
    completion();
  }
}

// ---- one attempt --------------------------------------------------------------------------------

const sigv4::SigningKey& S3Client::signing_key(const Credentials& credentials,
                                               const sigv4::Scope& scope) {
  std::string wanted =
      sigv4::amz_day(scope.time) + credentials.access_key_id + "/" + credentials.secret_access_key;
  if (wanted != signing_key_for_) {
    signing_key_ = sigv4::signing_key(credentials.secret_access_key, scope);
    signing_key_for_ = std::move(wanted);
  }
  return signing_key_;
}

S3Client::Signed S3Client::sign(const Call& call, const Credentials& credentials) {
  const S3Location location = call.redirected ? *call.redirected : endpoint_.locate(call.key);
  const sigv4::Scope scope{.region = options_.endpoint.region,
                           .time = clock_.wall_now() + clock_offset_};
  sigv4::Request request{
      .method = call.method, .path = location.path, .query = call.query, .headers = call.headers};
  if (call.has_body) {
    request.payload_hash = sigv4::hex(*call.sha256);
  }
  for (auto& header : request_headers(options_.terms)) {
    request.headers.push_back(std::move(header));
  }
  request.headers.emplace_back("host", location.host);
  request.headers.emplace_back("x-amz-content-sha256", request.payload_hash);
  request.headers.emplace_back("x-amz-date", sigv4::amz_date(scope.time));
  if (!credentials.session_token.empty()) {
    request.headers.emplace_back("x-amz-security-token", credentials.session_token);
  }
  const std::string to_sign =
      sigv4::string_to_sign(scope, sigv4::canonical_request(request, sigv4::PathRules::s3()));
  std::string authorization = sigv4::authorization({.access_key_id = credentials.access_key_id,
                                                    .key = signing_key(credentials, scope),
                                                    .scope = scope},
                                                   request, to_sign);
  HttpRequest http{.method = call.method,
                   .url = location.url + (call.query.empty() ? "" : "?" + call.query),
                   .headers = std::move(request.headers)};
  http.headers.emplace_back("authorization", std::move(authorization));
  // Its last line is the hash.
  return {.http = std::move(http), .canonical_sha256 = to_sign.substr(to_sign.rfind('\n') + 1)};
}

// Waits no longer than a fetch of credentials may take: then there are some, or an error.
void S3Client::send_waiting() {
  std::deque<std::pair<Call, AnswerCompletion>> waiting;
  waiting.swap(waiting_);
  for (auto& [call, completion] : waiting) {
    send(std::move(call), std::move(completion));
  }
}

std::chrono::milliseconds S3Client::deadline_for(std::uint64_t body_bytes) const {
  std::chrono::milliseconds deadline =
      options_.request_deadline * static_cast<std::int64_t>(1 + body_bytes / kMiB);
  if (options_.send_bytes_per_second_max > 0) {
    deadline += std::chrono::milliseconds(body_bytes * options_.requests_max * 1000 /
                                          options_.send_bytes_per_second_max);
  }
  return deadline;
}

void S3Client::send(Call call, AnswerCompletion completion) {
  if (call.has_body && !call.sha256) {
    call.sha256 = sha256_of(call.body);  // once, though it may be signed twice
  }
  Result<Credentials> credentials = credentials_.current();
  if (!credentials && credentials.error().kind == ErrorKind::transient) {
    waiting_.emplace_back(std::move(call), std::move(completion));
    return;
  }
  if (!credentials) {
    StoreError error{.kind = StoreErrorKind::configuration,
                     .code = kNoCredentials,
                     .message = credentials.error().message,
                     .advice = "`sluice check` tries every link of the chain."};
    deferred_.emplace_back([completion = std::move(completion), error = std::move(error)] {
      completion({.response = {}, .error = error});
    });
    return;
  }
  auto [http, canonical_sha256] = sign(call, *credentials);
  http.fresh_connection = std::exchange(fresh_connection_, false);
  http.limits = {.connect_timeout = options_.connect_timeout,
                 .deadline = deadline_for(call.body.size()),
                 .low_speed_time = options_.low_speed_time,
                 .body_bytes_max = call.answer_bytes_max};
  if (call.has_body) {
    http.body_bytes = call.body.size();
    http.body_sent_once = call.body_sent_once;
    http.body = [body = call.body](std::uint64_t begin, std::span<std::byte> into) {
      return body.read(begin, into);
    };
  }
  http_.start(std::move(http), [this, call = std::move(call), completion = std::move(completion),
                                serial = credentials->serial,
                                canonical_sha256 =
                                    std::move(canonical_sha256)](HttpOutcome outcome) mutable {
    if (!outcome.error && outcome.response.status == 307 && !call.redirected) {
      call.redirected = endpoint_.redirected(call.key, outcome.response.header("location"));
      if (call.redirected) {
        send(std::move(call), std::move(completion));
        return;
      }
    }
    Answer answer = judge(call, std::move(outcome));
    if (answer.error) {
      judge_credentials(*answer.error, serial);
      if (answer.error->code == "SignatureDoesNotMatch") {
        answer.error->message +=
            " (our canonical request has the SHA-256 " + canonical_sha256 + ")";
      }
    }
    completion(std::move(answer));
  });
}

void S3Client::judge_credentials(StoreError& error, std::uint64_t serial) {
  // A key that was rotated is unknown until its source is read again.
  if (error.code == "InvalidAccessKeyId" && credentials_.refresh(serial)) {
    error.kind = StoreErrorKind::refresh_credentials;
  }
  if (error.kind == StoreErrorKind::refresh_credentials) {
    refused_serial_ = serial;
  }
}

S3Client::Answer S3Client::judge(const Call& call, HttpOutcome outcome) {
  Answer answer{.response = std::move(outcome.response), .error = std::nullopt};
  const HttpResponse& response = answer.response;
  if (outcome.error) {
    answer.error = transport_error(*outcome.error, endpoint_.base_url());
    return answer;
  }
  const bool is_success = response.status >= 200 && response.status < 300;
  // A 200 may carry an error: the status line went out before the work was done.
  if (is_success && (call.method == "GET" || root_element(response.body) != "Error")) {
    return answer;
  }
  S3ErrorBody body = scan_s3_error(response.body);
  if (!body.is_error && is_success) {
    return answer;
  }
  if (body.region.empty()) {
    body.region = std::string(response.header("x-amz-bucket-region")).substr(0, 64);
  }
  answer.error = classify({.http_status = response.status,
                           .code = body.code,
                           .message = body.message,
                           .region = body.region,
                           .retry_after = parse_retry_after(response.header("retry-after"))});
  if (call.method == "HEAD" && body.code.empty()) {
    guess_reason(*answer.error, response);
  }
  const bool conditional =
      std::any_of(call.headers.begin(), call.headers.end(),
                  [](const auto& header) { return header.first == "if-none-match"; });
  learn(*answer.error, response, conditional);
  if (conditional && !conditional_put_ && answer.error->code == "NotImplemented") {
    answer.error->kind = StoreErrorKind::conflict;  // without the condition it goes
  }
  return answer;
}

// The answer to a HEAD has no body that could say why. Expired credentials are a 400 there
// (AWS, "HeadObject", errors).
void S3Client::guess_reason(StoreError& error, const HttpResponse& response) const {
  const auto date = parse_http_date(response.header("date"));
  if (error.http_status == 403 && date &&
      std::chrono::abs(*date - clock_.wall_now() - clock_offset_) > kSkewOfARefusal) {
    error.kind = StoreErrorKind::clock_skew;
    error.message = "refused without a reason, and the clocks differ";
  } else if (error.http_status == 400) {
    error.kind = StoreErrorKind::refresh_credentials;
    error.message = "refused without a reason, as expired credentials are";
  }
}

void S3Client::learn(const StoreError& error, const HttpResponse& response, bool conditional) {
  if (error.kind == StoreErrorKind::clock_skew) {
    if (const auto date = parse_http_date(response.header("date"))) {
      const auto offset = *date - clock_.wall_now();
      clock_offset_ = std::chrono::abs(offset) < kOffsetMin ? std::chrono::nanoseconds(0) : offset;
    }
  }
  if (conditional && error.code == "NotImplemented") {
    conditional_put_ = false;
  }
  conditions_proven_ = conditions_proven_ || (conditional && error.kind == StoreErrorKind::exists);
  // What garbled a request once would garble the next one too.
  fresh_connection_ = fresh_connection_ || error.code == "RequestTimeout" ||
                      error.code == "BadDigest" || error.code == "XAmzContentSHA256Mismatch";
}

// ---- the operations -----------------------------------------------------------------------------

ContentChecksum S3Client::add_checksum(Call& call) const {
  const S3Checksum kind = options_.terms.checksum;
  if (kind == S3Checksum::sha256 && !call.sha256) {
    call.sha256 = sha256_of(call.body);
  }
  ContentChecksum checksum = checksum_of(call.body, kind, call.sha256.value_or(Sha256{}));
  for (auto& header : checksum_headers(checksum)) {
    call.headers.push_back(std::move(header));
  }
  return checksum;
}

void S3Client::put(PutRequest request, StoreCompletion<PutOutcome> completion) {
  Call call{.method = "PUT",
            .key = std::move(request.name.key),
            .headers = object_headers(request.name, options_.terms),
            .body = std::move(request.body),
            .sha256 = request.sha256,
            .has_body = true};
  if (request.if_none_match && conditional_put_) {
    call.headers.emplace_back("if-none-match", "*");
  }
  call.body_sent_once = !capabilities().conditions_proven;
  ContentChecksum checksum = add_checksum(call);
  const ObjectBody body = call.body;
  send(std::move(call), [body, checksum = std::move(checksum), completion = std::move(completion),
                         opaque = options_.terms.encrypts_by_kms()](Answer answer) {
    if (!answer.error) {
      answer.error = content_mismatch(answer.response, body, checksum, opaque);
    }
    completion({.value = {.etag = std::string(answer.response.header("etag"))},
                .error = std::move(answer.error)});
  });
}

void S3Client::head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) {
  send({.method = "HEAD", .key = std::move(key)},
       [completion = std::move(completion)](Answer answer) {
         if (answer.response.status == 404 && answer.error) {
           completion({});
           return;
         }
         if (!answer.error && answer.response.header("etag").empty()) {
           // Whatever said 200, it was not asked about an object.
           answer.error = unexpected_answer(answer.response, "no ETag in the answer");
         }
         if (answer.error) {
           completion({.value = {}, .error = std::move(answer.error)});
           return;
         }
         ObjectInfo info{.etag = std::string(answer.response.header("etag"))};
         const std::string_view bytes = answer.response.header("content-length");
         std::from_chars(bytes.data(), bytes.data() + bytes.size(), info.bytes);
         for (const auto& [name, value] : answer.response.headers) {
           if (name.starts_with(kMetadataPrefix)) {
             info.metadata.emplace_back(name.substr(kMetadataPrefix.size()), value);
           }
         }
         completion({.value = std::move(info), .error = std::nullopt});
       });
}

void S3Client::get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) {
  send({.method = "GET", .key = std::move(request.key), .answer_bytes_max = request.bytes_max},
       [completion = std::move(completion)](Answer answer) {
         if (answer.error && answer.error->code == "NoSuchKey") {
           completion({});
           return;
         }
         if (answer.error && answer.error->code == "AnswerTooLarge") {
           answer.error->kind = StoreErrorKind::this_object;
         }
         completion({.value = std::move(answer.response.body), .error = std::move(answer.error)});
       });
}

void S3Client::remove(std::string key, StoreCompletion<Nothing> completion) {
  send({.method = "DELETE", .key = std::move(key)},
       [completion = std::move(completion)](Answer answer) {
         completion({.value = {}, .error = std::move(answer.error)});
       });
}

}  // namespace sluice
