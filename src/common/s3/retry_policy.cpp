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
    "Renew the credentials where they come from: `sluice check` says where that is.";
constexpr std::string_view kAllow =
    "Allow s3:PutObject, s3:GetObject and s3:AbortMultipartUpload on this prefix in the policy.";
constexpr std::string_view kSetBucket = "Check BUCKET_NAME and AWS_ENDPOINT_URL.";
constexpr std::string_view kSetProxy = "Check the user and the password in S3_PROXY.";
constexpr std::string_view kSetRegion = "Set AWS_REGION to the region of the bucket.";
constexpr std::string_view kSetClock = "Set this machine's clock (NTP).";
constexpr std::string_view kRaiseQuota = "Raise the quota of the bucket or of the user.";
constexpr std::string_view kSetOwner = "Check S3_EXPECTED_BUCKET_OWNER.";
constexpr std::string_view kSetPayer = "Set S3_REQUEST_PAYER=requester, or ask the bucket's owner.";
constexpr std::string_view kSetClass = "Check S3_STORAGE_CLASS.";
constexpr std::string_view kSetTags = "Check S3_TAGS.";
constexpr std::string_view kSetAcl = "Unset S3_ACL: the bucket's owner owns all objects in it.";
constexpr std::string_view kSetEncryption = "Check S3_SSE.";
constexpr std::string_view kAllowKey =
    "Check S3_SSE_KMS_KEY_ID, and allow the use of the KMS key (kms:GenerateDataKey, kms:Decrypt).";
constexpr std::string_view kAskLess =
    "The store does not know something that is asked of it: try S3_CHECKSUM=md5, and unset S3_SSE, "
    "S3_TAGS, S3_ACL and S3_STORAGE_CLASS.";
constexpr std::string_view kAskAccount = "Look at the account with the provider of the store.";

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, all of it, and what other
// stores say. What no request of ours can be answered with stands at the end, so that a code that
// is not here is one that nobody has thought about.
constexpr std::array kRules = std::to_array<Rule>({
    // Later: the store, the way to it, or what it leans on.
    {"InternalError", Kind::retry},
    {"ServiceUnavailable", Kind::retry, "", true},
    {"SlowDown", Kind::retry, "", true},
    {"SlowDownRead", Kind::retry, "", true},
    {"SlowDownWrite", Kind::retry, "", true},
    {"Busy", Kind::retry, "", true},
    {"Throttling", Kind::retry, "", true},
    {"ThrottlingException", Kind::retry, "", true},
    {"TooManyRequests", Kind::retry, "", true},
    {"RequestLimitExceeded", Kind::retry, "", true},
    {"BandwidthLimitExceeded", Kind::retry, "", true},
    {"KMS.ThrottlingException", Kind::retry, "", true},
    {"RequestTimeout", Kind::retry},
    {"RequestTimeoutException", Kind::retry},
    {"OperationAborted", Kind::retry},
    {"ConcurrentModification", Kind::retry},
    {"BadDigest", Kind::retry},
    {"XAmzContentSHA256Mismatch", Kind::retry},
    {"XAmzContentChecksumMismatch", Kind::retry},
    {"IncompleteBody", Kind::retry},
    {"KMS.KMSInternalException", Kind::retry},
    {"KMS.DependencyTimeoutException", Kind::retry},

    // With fresh credentials, or the right time.
    {"ExpiredToken", Kind::refresh_credentials, kSetToken},
    {"ExpiredTokenException", Kind::refresh_credentials, kSetToken},
    {"InvalidToken", Kind::refresh_credentials, kSetToken},
    {"TokenRefreshRequired", Kind::refresh_credentials, kSetToken},
    {"InvalidSessionException", Kind::refresh_credentials, kSetToken},
    {"SignatureDoesNotMatch", Kind::refresh_credentials, kSetKeys},
    {"InvalidSignature", Kind::refresh_credentials, kSetKeys},
    {"RequestTimeTooSkewed", Kind::clock_skew, kSetClock},
    {"RequestExpired", Kind::clock_skew, kSetClock},

    // When somebody has changed something.
    {"AccessDenied", Kind::configuration, kAllow},
    {"AccessDeniedException", Kind::configuration, kAllow},
    {"UnauthorizedAccess", Kind::configuration, kAllow},
    {"UnauthorizedAccessError", Kind::configuration, kAllow},
    {"AllAccessDisabled", Kind::configuration, kAskAccount},
    {"AccountProblem", Kind::configuration, kAskAccount},
    {"NotSignedUp", Kind::configuration, kAskAccount},
    {"UserSuspended", Kind::configuration, kAskAccount},
    {"DeviceNotActiveError", Kind::configuration, kAskAccount},
    {"QuotaExceeded", Kind::configuration, kRaiseQuota},
    {"InvalidAccessKeyId", Kind::configuration, kSetKeys},
    {"InvalidSecurity", Kind::configuration, kSetKeys},
    {"MissingAuthenticationToken", Kind::configuration, kSetKeys},
    {"MissingSecurityHeader", Kind::configuration, kSetKeys},
    {"CredentialsNotSupported", Kind::configuration, kSetKeys},
    {"InvalidAddressingHeader", Kind::configuration, kSetKeys},
    {"NoSuchBucket", Kind::configuration, kSetBucket},
    {"InvalidBucketName", Kind::configuration, kSetBucket},
    {"InvalidBucketState", Kind::configuration, kSetBucket},
    {"MethodNotAllowed", Kind::configuration, kSetBucket},
    {"InvalidHttpMethod", Kind::configuration, kSetBucket},
    {"InvalidHostHeader", Kind::configuration, kSetBucket},
    {"InvalidURI", Kind::configuration, kSetBucket},
    {"NoSuchAccessPoint", Kind::configuration, kSetBucket},
    {"InvalidAccessPoint", Kind::configuration, kSetBucket},
    {"InvalidAccessPointAliasError", Kind::configuration, kSetBucket},
    {"NoSuchMultiRegionAccessPoint", Kind::configuration, kSetBucket},
    {"EndpointNotFound", Kind::configuration, kSetBucket},
    {"NoSuchOutpost", Kind::configuration, kSetBucket},
    {"PermanentRedirect", Kind::configuration, kSetRegion},
    {"PermanentRedirectControlError", Kind::configuration, kSetRegion},
    {"TemporaryRedirect", Kind::configuration, kSetRegion},
    {"Redirect", Kind::configuration, kSetRegion},
    {"AuthorizationHeaderMalformed", Kind::configuration, kSetRegion},
    {"IllegalLocationConstraintException", Kind::configuration, kSetRegion},
    {"InvalidRegion", Kind::configuration, kSetRegion},
    {"InvalidLocationConstraint", Kind::configuration, kSetRegion},
    {"InvalidBucketOwnerAWSAccountID", Kind::configuration, kSetOwner},
    {"InvalidPayer", Kind::configuration, kSetPayer},
    {"InvalidStorageClass", Kind::configuration, kSetClass},
    {"InvalidTag", Kind::configuration, kSetTags},
    {"AccessControlListNotSupported", Kind::configuration, kSetAcl},
    {"MalformedACLError", Kind::configuration, kSetAcl},
    {"InvalidEncryptionAlgorithmError", Kind::configuration, kSetEncryption},
    {"ServerSideEncryptionConfigurationNotFoundError", Kind::configuration, kSetEncryption},
    {"KMS.DisabledException", Kind::configuration, kAllowKey},
    {"KMS.InvalidKeyUsageException", Kind::configuration, kAllowKey},
    {"KMS.KMSInvalidStateException", Kind::configuration, kAllowKey},
    {"KMS.InvalidStateException", Kind::configuration, kAllowKey},
    {"KMS.NotFoundException", Kind::configuration, kAllowKey},
    {"NotImplemented", Kind::configuration, kAskLess},
    {"UnsupportedArgument", Kind::configuration, kAskLess},
    {"UnsupportedSignature", Kind::configuration, kAskLess},

    // Look what is there.
    {"PreconditionFailed", Kind::exists},
    {"ConditionalRequestConflict", Kind::conflict},
    {"NoSuchUpload", Kind::upload_lost},
    {"InvalidPart", Kind::upload_lost},
    {"InvalidPartOrder", Kind::upload_lost},

    // Never, for this object.
    {"EntityTooLarge", Kind::this_object},
    {"EntityTooSmall", Kind::this_object},
    {"InvalidArgument", Kind::this_object},
    {"InvalidDigest", Kind::this_object},
    {"InvalidRequest", Kind::this_object},
    {"KeyTooLongError", Kind::this_object},
    {"KeyTooLong", Kind::this_object},
    {"MalformedXML", Kind::this_object},
    {"MaxMessageLengthExceeded", Kind::this_object},
    {"MetadataTooLarge", Kind::this_object},
    {"MissingContentLength", Kind::this_object},
    {"MissingRequestBodyError", Kind::this_object},
    {"RequestHeaderSectionTooLarge", Kind::this_object},
    {"UnexpectedContent", Kind::this_object},
    {"UserKeyMustBeSpecified", Kind::this_object},
    {"NoSuchKey", Kind::this_object},
    {"NoSuchVersion", Kind::this_object},
    {"NotModified", Kind::this_object},
    {"InvalidRange", Kind::this_object},
    {"InvalidObjectState", Kind::this_object},

    // Of requests that we never send.
    {"AccessPointAlreadyOwnedByYou", Kind::this_object},
    {"AmbiguousGrantByEmailAddress", Kind::this_object},
    {"BucketAlreadyExists", Kind::this_object},
    {"BucketAlreadyOwnedByYou", Kind::this_object},
    {"BucketHasAccessPointsAttached", Kind::this_object},
    {"BucketNotEmpty", Kind::this_object},
    {"ClientTokenConflict", Kind::this_object},
    {"CrossLocationLoggingProhibited", Kind::this_object},
    {"IllegalVersioningConfigurationException", Kind::this_object},
    {"IncorrectNumberOfFilesInPostRequest", Kind::this_object},
    {"InlineDataTooLarge", Kind::this_object},
    {"InvalidBucketAclWithObjectOwnership", Kind::this_object},
    {"InvalidPolicyDocument", Kind::this_object},
    {"InvalidSOAPRequest", Kind::this_object},
    {"InvalidTargetBucketForLogging", Kind::this_object},
    {"InvalidTokenId", Kind::this_object},
    {"MalformedPOSTRequest", Kind::this_object},
    {"MalformedPolicy", Kind::this_object},
    {"MaxPostPreDataLengthExceededError", Kind::this_object},
    {"MissingAttachment", Kind::this_object},
    {"MissingSecurityElement", Kind::this_object},
    {"NoLoggingStatusForKey", Kind::this_object},
    {"NoSuchAsyncRequest", Kind::this_object},
    {"NoSuchBucketPolicy", Kind::this_object},
    {"NoSuchCORSConfiguration", Kind::this_object},
    {"NoSuchLifecycleConfiguration", Kind::this_object},
    {"NoSuchObjectLockConfiguration", Kind::this_object},
    {"NoSuchPublicAccessBlockConfiguration", Kind::this_object},
    {"NoSuchTagSet", Kind::this_object},
    {"NoSuchWebsiteConfiguration", Kind::this_object},
    {"ObjectAlreadyInActiveTierError", Kind::this_object},
    {"ObjectLockConfigurationNotFoundError", Kind::this_object},
    {"OwnershipControlsNotFoundError", Kind::this_object},
    {"ReplicationConfigurationNotFoundError", Kind::this_object},
    {"RequestIsNotMultiPartContent", Kind::this_object},
    {"RequestTorrentOfBucketError", Kind::this_object},
    {"RestoreAlreadyInProgress", Kind::this_object},
    {"TokenCodeInvalidError", Kind::this_object},
    {"TooManyAccessPoints", Kind::this_object},
    {"TooManyBuckets", Kind::this_object},
    {"TooManyMultiRegionAccessPoints", Kind::this_object},
    {"UnresolvableGrantByEmailAddress", Kind::this_object},
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
      return {"", Kind::configuration, kSetBucket};
    case 501:
      return {"", Kind::configuration, kAskLess};
    case 407:
      return {"", Kind::configuration, kSetProxy};
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
    return {"", Kind::configuration, kAllowKey};
  }
  const Rule rule = rule_of_status(failure.http_status);
  // Whoever refuses without a code is no S3 server, or was asked by HEAD: that is no word on what
  // an object is like.
  return failure.code.empty() && rule.kind == Kind::this_object
             ? Rule{"", Kind::configuration, kSetBucket}
             : rule;
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
