#include "common/s3/retry_policy.h"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

using Kind = StoreErrorKind;

constexpr std::chrono::milliseconds kRetryAfterMax{300'000};

struct Rule {
  std::string_view code;
  Kind kind;
  std::string_view advice = {};
  bool slow_down = false;
};

constexpr std::string_view kSetKeys =
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then run `sluice check`.";
constexpr std::string_view kSetToken =
    "Set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN and restart.";
constexpr std::string_view kAllow =
    "Allow s3:PutObject, s3:GetObject and s3:AbortMultipartUpload on this prefix in the policy.";
constexpr std::string_view kSetBucket = "Check BUCKET_NAME and AWS_ENDPOINT_URL.";
constexpr std::string_view kSetRegion = "Set AWS_REGION to the region of the bucket.";
constexpr std::string_view kSetClock = "Set this machine's clock (NTP).";
constexpr std::string_view kAskAccount = "Look at the account with the provider of the store.";

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
constexpr std::array kRules = std::to_array<Rule>({
    {"InternalError", Kind::retry},
    {"ServiceUnavailable", Kind::retry, "", true},
    {"SlowDown", Kind::retry, "", true},
    {"SlowDownRead", Kind::retry, "", true},
    {"SlowDownWrite", Kind::retry, "", true},
    {"Throttling", Kind::retry, "", true},
    {"ThrottlingException", Kind::retry, "", true},
    {"TooManyRequests", Kind::retry, "", true},
    {"RequestLimitExceeded", Kind::retry, "", true},
    {"BandwidthLimitExceeded", Kind::retry, "", true},
    {"RequestTimeout", Kind::retry},
    {"OperationAborted", Kind::retry},
    {"BadDigest", Kind::retry},
    {"XAmzContentSHA256Mismatch", Kind::retry},
    {"IncompleteBody", Kind::retry},

    {"ExpiredToken", Kind::refresh_credentials, kSetToken},
    {"ExpiredTokenException", Kind::refresh_credentials, kSetToken},
    {"InvalidToken", Kind::refresh_credentials, kSetToken},
    {"TokenRefreshRequired", Kind::refresh_credentials, kSetToken},
    {"SignatureDoesNotMatch", Kind::refresh_credentials, kSetKeys},
    {"RequestTimeTooSkewed", Kind::clock_skew, kSetClock},

    {"AccessDenied", Kind::configuration, kAllow},
    {"AccessDeniedException", Kind::configuration, kAllow},
    {"AllAccessDisabled", Kind::configuration, kAskAccount},
    {"AccountProblem", Kind::configuration, kAskAccount},
    {"NotSignedUp", Kind::configuration, kAskAccount},
    {"UserSuspended", Kind::configuration, kAskAccount},
    {"QuotaExceeded", Kind::configuration, "Raise the quota of the bucket or of the user."},
    {"InvalidAccessKeyId", Kind::configuration, kSetKeys},
    {"InvalidSecurity", Kind::configuration, kSetKeys},
    {"NoSuchBucket", Kind::configuration, kSetBucket},
    {"InvalidBucketName", Kind::configuration, kSetBucket},
    {"MethodNotAllowed", Kind::configuration, kSetBucket},
    {"PermanentRedirect", Kind::configuration, kSetRegion},
    {"TemporaryRedirect", Kind::configuration, kSetRegion},
    {"Redirect", Kind::configuration, kSetRegion},
    {"AuthorizationHeaderMalformed", Kind::configuration, kSetRegion},
    {"IllegalLocationConstraintException", Kind::configuration, kSetRegion},

    {"PreconditionFailed", Kind::exists},
    {"ConditionalRequestConflict", Kind::conflict},
    {"NoSuchUpload", Kind::upload_lost},
    {"InvalidPart", Kind::upload_lost},
    {"InvalidPartOrder", Kind::upload_lost},
});

Rule rule_of_status(int status) {
  switch (status) {
    case 400:
      return {"", Kind::this_object};
    case 401:
    case 403:
      return {"", Kind::configuration, kAllow};
    case 404:
    case 405:
    case 501:
      return {"", Kind::configuration, kSetBucket};
    case 408:
      return {"", Kind::retry};
    case 409:
      return {"", Kind::conflict};
    case 412:
      return {"", Kind::exists};
    case 429:
    case 503:
      return {"", Kind::retry, "", true};
    default:
      break;
  }
  if (status >= 300 && status < 400) {
    return {"", Kind::configuration, kSetRegion};
  }
  return {"", status > 400 && status < 500 ? Kind::this_object : Kind::retry};
}

Rule rule_of(const S3Failure& failure) {
  const auto* found = std::find_if(kRules.begin(), kRules.end(),
                                   [&](const Rule& rule) { return rule.code == failure.code; });
  if (found != kRules.end()) {
    return *found;
  }
  if (failure.code.starts_with("KMS")) {
    return {"", Kind::configuration, "Allow the use of the bucket's KMS key."};
  }
  return rule_of_status(failure.http_status);
}

}  // namespace

StoreError classify(const S3Failure& failure) {
  const Rule rule = rule_of(failure);
  StoreError error{.kind = rule.kind,
                   .http_status = failure.http_status,
                   .code = failure.code,
                   .message = failure.message,
                   .advice = std::string(rule.advice),
                   .retry_after = failure.retry_after,
                   .slow_down = rule.slow_down};
  if (rule.advice == kSetRegion && !failure.region.empty()) {
    error.advice = "Set AWS_REGION=" + failure.region + ".";
  }
  return error;
}

std::chrono::milliseconds Backoff::delay(std::uint32_t failures, const StoreError& error) {
  // 2^32 milliseconds are past any cap.
  const std::uint32_t doublings = std::min(failures > 0 ? failures - 1 : 0, 32U);
  const std::int64_t longest =
      std::min(options_.cap.count(), options_.base.count() <= (options_.cap.count() >> doublings)
                                         ? options_.base.count() << doublings
                                         : options_.cap.count());
  std::uniform_int_distribution<std::int64_t> uniform(0, longest);
  const std::chrono::milliseconds jittered(uniform(random_));
  const auto asked =
      std::min(error.retry_after.value_or(std::chrono::milliseconds(0)), kRetryAfterMax);
  return std::max(jittered, asked);
}

}  // namespace sluice
