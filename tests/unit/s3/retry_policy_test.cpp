#include "common/s3/retry_policy.h"

#include <doctest/doctest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace sluice {
namespace {

using std::chrono::milliseconds;
using Kind = StoreErrorKind;

StoreError classified(int status, std::string code) {
  return classify({.http_status = status, .code = std::move(code)});
}

// The codes of the reference, each with what it means for us, written down a second time.
const std::map<Kind, std::string> kDocumented = {
    {Kind::retry,
     "BadDigest BandwidthLimitExceeded Busy ConcurrentModification IncompleteBody "
     "InternalError KMS.DependencyTimeoutException KMS.KMSInternalException "
     "KMS.ThrottlingException OperationAborted RequestLimitExceeded RequestTimeout "
     "RequestTimeoutException ServiceUnavailable SlowDown SlowDownRead SlowDownWrite "
     "Throttling ThrottlingException TooManyRequests XAmzContentChecksumMismatch "
     "XAmzContentSHA256Mismatch"},
    {Kind::refresh_credentials,
     "ExpiredToken ExpiredTokenException InvalidSessionException InvalidSignature InvalidToken "
     "SignatureDoesNotMatch TokenRefreshRequired"},
    {Kind::clock_skew, "RequestExpired RequestTimeTooSkewed"},
    {Kind::configuration,
     "AccessControlListNotSupported AccessDenied AccessDeniedException AccountProblem "
     "AllAccessDisabled AuthorizationHeaderMalformed CredentialsNotSupported "
     "DeviceNotActiveError EndpointNotFound IllegalLocationConstraintException "
     "InvalidAccessKeyId InvalidAccessPoint InvalidAccessPointAliasError "
     "InvalidAddressingHeader InvalidBucketName InvalidBucketOwnerAWSAccountID "
     "InvalidBucketState InvalidEncryptionAlgorithmError InvalidHostHeader InvalidHttpMethod "
     "InvalidLocationConstraint InvalidPayer InvalidRegion InvalidSecurity InvalidStorageClass "
     "InvalidTag InvalidURI KMS.DisabledException KMS.InvalidKeyUsageException "
     "KMS.InvalidStateException KMS.KMSInvalidStateException KMS.NotFoundException "
     "MalformedACLError MethodNotAllowed MissingAuthenticationToken MissingSecurityHeader "
     "NoSuchAccessPoint NoSuchBucket NoSuchMultiRegionAccessPoint NoSuchOutpost NotImplemented "
     "NotSignedUp PermanentRedirect PermanentRedirectControlError QuotaExceeded Redirect "
     "ServerSideEncryptionConfigurationNotFoundError TemporaryRedirect UnauthorizedAccess "
     "UnauthorizedAccessError UnsupportedArgument UnsupportedSignature UserSuspended"},
    {Kind::exists, "PreconditionFailed"},
    {Kind::conflict, "ConditionalRequestConflict"},
    {Kind::upload_lost, "InvalidPart InvalidPartOrder NoSuchUpload"},
    {Kind::this_object,
     "AccessPointAlreadyOwnedByYou AmbiguousGrantByEmailAddress BucketAlreadyExists "
     "BucketAlreadyOwnedByYou BucketHasAccessPointsAttached BucketNotEmpty ClientTokenConflict "
     "CrossLocationLoggingProhibited EntityTooLarge EntityTooSmall "
     "IllegalVersioningConfigurationException IncorrectNumberOfFilesInPostRequest "
     "InlineDataTooLarge InvalidArgument InvalidBucketAclWithObjectOwnership InvalidDigest "
     "InvalidObjectState InvalidPolicyDocument InvalidRange InvalidRequest InvalidSOAPRequest "
     "InvalidTargetBucketForLogging InvalidTokenId KeyTooLong KeyTooLongError "
     "MalformedPOSTRequest MalformedPolicy MalformedXML MaxMessageLengthExceeded "
     "MaxPostPreDataLengthExceededError MetadataTooLarge MissingAttachment "
     "MissingContentLength MissingRequestBodyError MissingSecurityElement "
     "NoLoggingStatusForKey NoSuchAsyncRequest NoSuchBucketPolicy NoSuchCORSConfiguration "
     "NoSuchKey NoSuchLifecycleConfiguration NoSuchObjectLockConfiguration "
     "NoSuchPublicAccessBlockConfiguration NoSuchTagSet NoSuchVersion "
     "NoSuchWebsiteConfiguration NotModified ObjectAlreadyInActiveTierError "
     "ObjectLockConfigurationNotFoundError OwnershipControlsNotFoundError "
     "ReplicationConfigurationNotFoundError RequestHeaderSectionTooLarge "
     "RequestIsNotMultiPartContent RequestTorrentOfBucketError RestoreAlreadyInProgress "
     "TokenCodeInvalidError TooManyAccessPoints TooManyBuckets TooManyMultiRegionAccessPoints "
     "UnexpectedContent UnresolvableGrantByEmailAddress UserKeyMustBeSpecified"},
};

TEST_CASE("every_documented_code_has_its_class_whatever_the_status") {
  std::size_t codes = 0;
  for (const auto& [kind, names] : kDocumented) {
    std::istringstream words(names);
    for (std::string code; words >> code;) {
      CAPTURE(code);
      for (const int status : {200, 400, 403, 404, 409, 500, 503}) {
        CHECK(classified(status, code).kind == kind);
      }
      CHECK((kind != Kind::configuration || !classified(400, code).advice.empty()));
      codes += 1;
    }
  }
  CHECK(codes == 151);
}

TEST_CASE("code_decides_before_the_status") {
  CHECK(classified(400, "RequestTimeout").kind == Kind::retry);
  CHECK(classified(403, "RequestTimeTooSkewed").kind == Kind::clock_skew);
  CHECK(classified(400, "ExpiredToken").kind == Kind::refresh_credentials);
  CHECK(classified(403, "InvalidAccessKeyId").kind == Kind::configuration);
  CHECK(classified(404, "NoSuchUpload").kind == Kind::upload_lost);
  CHECK(classified(404, "NoSuchBucket").kind == Kind::configuration);
  CHECK(classified(409, "OperationAborted").kind == Kind::retry);
  CHECK(classified(409, "ConditionalRequestConflict").kind == Kind::conflict);
  CHECK(classified(200, "InternalError").kind == Kind::retry);
  CHECK(classified(400, "KeyTooLongError").kind == Kind::this_object);
  CHECK(classified(400, "InvalidArgument").kind == Kind::this_object);
}

TEST_CASE("a_refusal_without_a_code_is_no_word_of_an_s3_server_on_an_object") {
  for (const int status : {400, 411, 413, 414, 421, 431}) {
    CHECK(classified(status, "").kind == Kind::configuration);
    CHECK(classified(status, "SomethingNew").kind == Kind::this_object);
  }
}

TEST_CASE("status_decides_where_no_code_is_known") {
  const std::map<int, Kind> expected = {
      {0, Kind::retry},           {200, Kind::retry},         {301, Kind::configuration},
      {307, Kind::configuration}, {400, Kind::this_object},   {401, Kind::configuration},
      {403, Kind::configuration}, {404, Kind::configuration}, {407, Kind::configuration},
      {408, Kind::retry},         {409, Kind::conflict},      {411, Kind::this_object},
      {412, Kind::exists},        {413, Kind::this_object},   {429, Kind::retry},
      {500, Kind::retry},         {501, Kind::configuration}, {502, Kind::retry},
      {503, Kind::retry},         {504, Kind::retry},         {599, Kind::retry}};
  for (const auto& entry : expected) {
    const int status = entry.first;
    CAPTURE(status);
    CHECK(classified(status, "").kind ==
          (entry.second == Kind::this_object ? Kind::configuration : entry.second));
    CHECK(classified(status, "NeverHeardOf").kind == entry.second);
  }
}

TEST_CASE("s10_slow_down_asks_for_fewer_requests") {
  CHECK(classified(503, "SlowDown").slow_down);
  CHECK(classified(429, "").slow_down);
  CHECK_FALSE(classified(500, "InternalError").slow_down);
}

TEST_CASE("s2_wrong_region_names_the_right_one") {
  const StoreError error =
      classify({.http_status = 301, .code = "PermanentRedirect", .region = "eu-west-1"});
  CHECK(error.kind == Kind::configuration);
  CHECK(error.advice == "Set AWS_REGION=eu-west-1.");
}

TEST_CASE("every_configuration_error_says_what_to_do") {
  for (const char* code :
       {"AccessDenied", "InvalidAccessKeyId", "NoSuchBucket", "PermanentRedirect",
        "AuthorizationHeaderMalformed", "KMS.DisabledException"}) {
    const StoreError error = classified(403, code);
    CAPTURE(code);
    CHECK(error.kind == Kind::configuration);
    CHECK_FALSE(error.advice.empty());
  }
  CHECK(describe(classified(403, "AccessDenied")).starts_with("AccessDenied (HTTP 403). Allow"));
}

TEST_CASE("back_off_is_uniform_below_a_bound_that_doubles_up_to_the_cap") {
  const std::uint64_t seed = 20261121;
  MESSAGE("seed " << seed);
  Backoff backoff({.base = milliseconds(1000), .cap = milliseconds(60'000), .seed = seed});
  for (const auto& [failures, bound] : std::vector<std::pair<std::uint32_t, std::int64_t>>{
           {1, 1000}, {2, 2000}, {5, 16'000}, {6, 32'000}, {7, 60'000}, {1000, 60'000}}) {
    std::int64_t least = bound;
    std::int64_t most = 0;
    for (int i = 0; i < 2000; ++i) {
      const std::int64_t delay = backoff.delay(failures, {}).count();
      REQUIRE(delay >= 0);
      REQUIRE(delay <= bound);
      least = std::min(least, delay);
      most = std::max(most, delay);
    }
    CHECK(least < bound / 20);
    CHECK(most > bound - bound / 20);
  }
}

TEST_CASE("same_seed_same_delays") {
  Backoff one({.seed = 7});
  Backoff other({.seed = 7});
  for (std::uint32_t i = 1; i < 20; ++i) {
    CHECK(one.delay(i, {}) == other.delay(i, {}));
  }
}

TEST_CASE("s10_retry_after_is_honoured_within_reason") {
  Backoff backoff({.base = milliseconds(1), .seed = 1});
  CHECK(backoff.delay(1, {.retry_after = milliseconds(7000)}) >= milliseconds(7000));
  CHECK(backoff.delay(1, {.retry_after = std::chrono::hours(24)}) <= milliseconds(300'000));
}

}  // namespace
}  // namespace sluice
