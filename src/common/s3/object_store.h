// ObjectStore: where objects go, as an interface that S3, a directory, a test's memory and the
// simulator implement.
//
// Asynchronous and for one thread: requests only start something; their completions are called
// inside poll(), on the thread that calls it, never inside the request itself. Each request is one
// attempt: the caller decides by StoreError::kind what to do next. A store that dies drops what is
// in flight without calling its completions.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/units.h"

namespace sluice {

// What the caller has to do about a failed request (docs/architecture.md, S3 errors).
enum class StoreErrorKind : std::uint8_t {
  retry,                // for now: the same again after a back-off, for ever
  refresh_credentials,  // expired or refused once: fetch credentials anew, then the same again
  clock_skew,           // the store's time was learnt: sign again at once
  configuration,        // nothing but an operator helps: hold the prefix, probe it
  this_object,          // this request is refused whatever the time: a few tries, then set aside
  exists,               // 412: an object with this key is there already
  conflict,             // 409: another writer of this key was at work; the same again
  upload_lost,          // the multipart upload is gone or broken: look, then begin it again
};

std::string_view to_string(StoreErrorKind kind);

struct StoreError {
  StoreErrorKind kind = StoreErrorKind::retry;
  int http_status = 0;       // 0: no answer came
  std::string code = {};     // S3's <Code>, or our own name; never trusted, escaped
  std::string message = {};  // S3's <Message> or the transport's; escaped and cut
  std::string advice = {};   // one sentence: what the operator can do; empty where nothing helps
  std::optional<std::chrono::milliseconds> retry_after = {};
  bool slow_down = false;  // the store asks for fewer requests
};

// Whole sentences: "AccessDenied (HTTP 403): Access Denied. <advice>"
std::string describe(const StoreError& error);

// The store has taken the bytes, and confirmed another checksum than theirs.
[[nodiscard]] bool confirmed_other_bytes(const StoreError& error);

template <class T>
struct StoreResult {
  T value{};
  std::optional<StoreError> error;
  [[nodiscard]] bool ok() const { return !error.has_value(); }
};

template <class T>
using StoreCompletion = std::function<void(StoreResult<T>)>;

// The bytes of an object or of a part: a chain of spans that can be read any number of times. A
// copy shares the memory.
class ObjectBody {
 public:
  // `owner` keeps `bytes` alive; empty for memory that outlives the request anyway.
  void append(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

  [[nodiscard]] std::uint64_t size() const { return bytes_; }
  // Copies from offset `begin` on into `into`; returns how many bytes: fewer only at the end.
  std::size_t read(std::uint64_t begin, std::span<std::byte> into) const;

  struct Span {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
  };
  [[nodiscard]] const std::vector<Span>& spans() const { return spans_; }

 private:
  std::vector<Span> spans_;
  std::uint64_t bytes_ = 0;
};

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256_of(const ObjectBody& body);

using ObjectMetadata = std::vector<std::pair<std::string, std::string>>;  // names in lower case
// Empty where the name is not there.
std::string_view metadata_value(const ObjectMetadata& metadata, std::string_view name);

// What the parts of a multipart upload and a plain PUT have in common.
struct ObjectName {
  std::string key;
  std::string content_type;
  ObjectMetadata metadata = {};  // in the order in which it is sent
};

struct PutRequest {
  ObjectName name;
  ObjectBody body;
  std::optional<Sha256> sha256 =
      {};                     // of the body, where the caller has it: nothing is hashed twice
  bool if_none_match = true;  // never overwrite; where the store cannot, it is left out
};

struct PutOutcome {
  std::string etag;
  bool found_equal = false;  // the store held exactly these bytes under the key already
};

struct ObjectInfo {
  std::uint64_t bytes = 0;
  std::string etag = {};
  ObjectMetadata metadata = {};  // empty where the store keeps none (a directory)
};

struct PartRequest {
  std::string key;
  std::string upload_id;
  std::uint32_t number = 1;  // from 1
  std::uint64_t begin = 0;   // offset of the part in the object
  ObjectBody body = {};
  std::optional<Sha256> sha256 = {};
};

struct UploadedPart {
  std::uint32_t number = 1;
  std::string etag;
  std::string checksum = {};  // as the store confirmed it; empty where it does not
};

struct CompleteRequest {
  std::string key;
  std::string upload_id;
  std::vector<UploadedPart> parts;  // ascending by number, from 1, without a gap
  bool if_none_match = true;
};

struct MultipartUpload {
  std::string key;
  std::string upload_id;
};

// Listings come in pages, ordered by the bytes of the keys.
inline constexpr std::uint32_t kPageItemsMax = 1000;

struct ListRequest {
  std::string prefix = {};
  std::string start_after = {};   // only keys behind this one
  std::string continuation = {};  // of the page before; start_after is then without effect
  std::uint32_t objects_max = kPageItemsMax;
};

struct ListedObject {
  std::string key;
  std::uint64_t bytes = 0;
  std::string etag = {};  // empty where the store keeps none (a directory)
  std::optional<WallTime> modified_at = {};
};

struct ObjectPage {
  std::vector<ListedObject> objects;
  std::string continuation = {};  // empty: this was the last page
};

// Where a listing of uploads stands: behind this upload of this key.
struct UploadMarker {
  std::string key = {};
  std::string upload_id = {};
  [[nodiscard]] bool empty() const { return key.empty() && upload_id.empty(); }
  bool operator==(const UploadMarker&) const = default;
};

struct ListUploadsRequest {
  std::string prefix = {};
  UploadMarker after = {};  // `next` of the page before
  std::uint32_t uploads_max = kPageItemsMax;
};

struct OpenUpload {
  MultipartUpload upload;
  std::optional<WallTime> initiated_at = {};  // by the store's clock
};

struct UploadPage {
  std::vector<OpenUpload> uploads;
  UploadMarker next = {};  // empty: this was the last page
};

class ObjectStore {
 public:
  struct Capabilities {
    bool conditional_put = false;    // honours if_none_match, as far as is known
    bool conditions_proven = false;  // it has refused a write for that
    bool metadata = false;           // head() gives back what put() was given
    bool signs_payload = false;      // wants the SHA-256 of every body
  };

  virtual ~ObjectStore() = default;

  [[nodiscard]] virtual Capabilities capabilities() const = 0;
  // For the log: "s3://bucket at https://…" or "directory /data/objects".
  [[nodiscard]] virtual std::string describe() const = 0;

  virtual void put(PutRequest request, StoreCompletion<PutOutcome> completion) = 0;
  // No value: there is no such object.
  virtual void head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) = 0;
  // The whole object; no value: there is none. An error of kind this_object past `bytes_max`.
  struct GetRequest {
    std::string key;
    std::uint64_t bytes_max = 16 * kMiB;
  };
  virtual void get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) = 0;

  // Parts may be uploaded in any order and beside each other; all but the last are of one size of
  // at least 5 MiB. Gives the upload id.
  virtual void create_multipart(ObjectName name, StoreCompletion<std::string> completion) = 0;
  virtual void upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) = 0;
  virtual void complete_multipart(CompleteRequest request,
                                  StoreCompletion<PutOutcome> completion) = 0;
  struct Nothing {};
  virtual void abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) = 0;

  // What is stored, and which multipart uploads are neither completed nor aborted. A page may have
  // fewer items than asked for, even none, and yet not be the last.
  virtual void list(ListRequest request, StoreCompletion<ObjectPage> completion) = 0;
  virtual void list_multipart(ListUploadsRequest request,
                              StoreCompletion<UploadPage> completion) = 0;

  // Only for the probe objects of `sluice check` and of the start: objects are never removed.
  virtual void remove(std::string key, StoreCompletion<Nothing> completion) = 0;

  // if_none_match is of no use here, and left out from now on: a probe found that the store does
  // not heed it.
  virtual void leave_out_conditions() = 0;

  // Forgets the credentials, so that the next attempt is signed with fresh ones. False where there
  // are none to fetch.
  virtual bool refresh_credentials() = 0;

  // Drives transfers and calls completions. Returns after the first completions, after wake(), or
  // at `until`; at once where `until` is past.
  virtual void poll(MonotonicTime until) = 0;
  // Thread-safe: ends the poll() that runs, or else the next one.
  virtual void wake() = 0;
};

}  // namespace sluice
