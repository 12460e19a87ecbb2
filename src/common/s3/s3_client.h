// S3Client: the ObjectStore that speaks S3 over HTTP. Each request is one attempt, signed with the
// time at which it leaves; what an answer means is in retry_policy.
#pragma once

#include <deque>
#include <memory>

#include "common/http/curl_client.h"
#include "common/platform/clock.h"
#include "common/s3/credentials.h"
#include "common/s3/object_checksum.h"
#include "common/s3/object_store.h"
#include "common/s3/s3_endpoint.h"
#include "common/s3/s3_terms.h"
#include "common/s3/sigv4.h"

namespace sluice {

// The code of the error where there is nothing to sign with.
inline constexpr const char* kNoCredentials = "NoCredentials";

class S3Client final : public ObjectStore {
 public:
  struct Options {
    S3Endpoint::Options endpoint;
    S3Terms terms = {};
    std::string ca_file = {};          // PEM; empty: the system's
    std::string proxy = {};            // "http[s]://[user:password@]host[:port]"; empty: none
    std::string user_agent = {};       // what follows "sluice/VERSION"
    std::size_t connections_max = 64;  // kept open
    std::chrono::milliseconds connect_timeout{10'000};
    // For a request without a body; each MiB of body adds a minute.
    std::chrono::milliseconds request_deadline{60'000};
    // Of all bodies together, 0: no limit; shared by up to so many requests, whose deadlines are
    // longer by the time that this takes.
    std::uint64_t send_bytes_per_second_max = 0;
    std::size_t requests_max = 8;
    std::chrono::seconds low_speed_time{30};
    std::chrono::seconds idle_timeout{15};  // as CurlClient::Options
  };

  // Rejected where the endpoint is none. The credentials and the clock outlive the client.
  struct Outside {
    CredentialsProvider& credentials;
    const Clock& clock;
  };
  static Result<std::unique_ptr<S3Client>> make(Options options, Outside outside);

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] std::string describe() const override;
  void put(PutRequest request, StoreCompletion<PutOutcome> completion) override;
  void head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) override;
  void get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) override;
  void create_multipart(ObjectName name, StoreCompletion<std::string> completion) override;
  void upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) override;
  void complete_multipart(CompleteRequest request, StoreCompletion<PutOutcome> completion) override;
  void abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) override;
  void list(ListRequest request, StoreCompletion<ObjectPage> completion) override;
  void list_multipart(ListUploadsRequest request, StoreCompletion<UploadPage> completion) override;
  void remove(std::string key, StoreCompletion<Nothing> completion) override;
  void leave_out_conditions() override;
  bool refresh_credentials() override;
  void poll(MonotonicTime until) override;
  void wake() override;

 private:
  struct Call {
    std::string method;
    std::string key = {};  // empty: the bucket
    std::string query = {};
    HttpHeaders headers = {};  // signed with the others
    ObjectBody body = {};
    std::optional<Sha256> sha256 = {};
    bool has_body = false;
    bool body_sent_once = false;  // a second copy might write over what another wrote in between
    std::size_t answer_bytes_max = kMiB;
    std::optional<S3Location> redirected = {};  // where a 307 sent us, once
  };
  struct Answer {
    HttpResponse response;
    std::optional<StoreError> error;
  };
  using AnswerCompletion = std::function<void(Answer)>;

  S3Client(Options options, S3Endpoint endpoint, Outside outside);
  // Computes the checksum of the body and adds its headers.
  [[nodiscard]] ContentChecksum add_checksum(Call& call) const;
  void send(Call call, AnswerCompletion completion);
  [[nodiscard]] std::chrono::milliseconds deadline_for(std::uint64_t body_bytes) const;
  void send_waiting();
  struct Signed {
    HttpRequest http;
    std::string canonical_sha256;  // of the canonical request, for the log
  };
  [[nodiscard]] Signed sign(const Call& call, const Credentials& credentials);
  [[nodiscard]] const sigv4::SigningKey& signing_key(const Credentials& credentials,
                                                     const sigv4::Scope& scope);
  [[nodiscard]] Answer judge(const Call& call, HttpOutcome outcome);
  void judge_credentials(StoreError& error, std::uint64_t serial);
  void guess_reason(StoreError& error, const HttpResponse& response) const;
  void learn(const StoreError& error, const HttpResponse& response, bool conditional);

  Options options_;
  S3Endpoint endpoint_;
  CredentialsProvider& credentials_;
  const Clock& clock_;
  CurlClient http_;
  std::deque<std::function<void()>> deferred_;  // completions of what could not be sent
  // What is sent when the credentials that are being fetched have come.
  std::deque<std::pair<Call, AnswerCompletion>> waiting_;
  std::uint64_t refused_serial_ = 0;          // of the credentials refused last
  std::chrono::nanoseconds clock_offset_{0};  // the store's clock minus ours
  bool conditional_put_ = true;               // until the store says that it cannot
  bool conditions_proven_ = false;            // it said once that an object exists
  bool fresh_connection_ = false;             // the next request takes one
  std::string signing_key_for_;               // day and access key of signing_key_
  sigv4::SigningKey signing_key_{};
};

}  // namespace sluice
